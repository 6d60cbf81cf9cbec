web: uvicorn --factory service.app:from_environment --host 0.0.0.0 --port $PORT --proxy-headers --timeout-graceful-shutdown 5 --http errand.api.bounds:Protocol
worker: LOG_URL=${LOG_URL:-stdout:} rq worker -c worker -w worker.Worker
release: errand check
