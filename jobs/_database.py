"""The jobs' own database: SQLAlchemy, SQLite unless `DATABASE_URL` says otherwise."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import BigInteger, DateTime, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

__all__ = ["DatabaseSettings", "Item", "Session", "session"]


class DatabaseSettings(BaseSettings):
    """Where the jobs' data lives."""

    model_config = SettingsConfigDict(frozen=True)
    database_url: str = Field("sqlite:///errand.db", alias="DATABASE_URL")

    @field_validator("database_url")
    @classmethod
    def _complete(cls, url: str) -> str:
        """Name psycopg where the URL names no driver; platforms still hand out `postgres://`."""
        for prefix in ("postgres://", "postgresql://"):
            if url.startswith(prefix):
                url = "postgresql+psycopg://" + url.removeprefix(prefix)
        try:
            make_url(url).get_dialect()
        except (ArgumentError, ValueError):
            raise ValueError("it is no database URL; write sqlite:///errand.db or postgresql://…") from None
        return url


class Base(DeclarativeBase):
    """The tables of the job files."""


class Item(Base):
    """An item that was processed."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    processed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def session() -> Iterator[Session]:
    """Give one attempt its own session; what it does not commit is rolled back."""
    with Session(_engine(DatabaseSettings().database_url)) as db:
        yield db


@cache
def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True)
    try:
        Base.metadata.create_all(engine)
    except DatabaseError:  # two workers may create the tables at once; one of them loses, each database in its own way
        Base.metadata.create_all(engine)
    return engine
