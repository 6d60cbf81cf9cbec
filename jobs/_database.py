"""The jobs' own database: SQLAlchemy, SQLite unless `DATABASE_URL` says otherwise."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from pydantic import Field, field_validator
from sqlalchemy import BigInteger, DateTime, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from errand.redis.settings import Settings
from errand.redis.url import read_url

__all__ = ["DatabaseSettings", "Item", "Session", "session"]


class DatabaseSettings(Settings):
    """Where the jobs' data lives."""

    database_url: str = Field("sqlite:///errand.db", alias="DATABASE_URL", repr=False)

    @field_validator("database_url")
    @classmethod
    def _complete(cls, url: str) -> str:
        """Name psycopg where the URL names no driver; platforms still hand out `postgres://`.

        SQLAlchemy takes the first @ for the end of a password, and what follows for a host that its errors name.
        """
        for prefix in ("postgres://", "postgresql://"):
            if url.startswith(prefix):
                url = "postgresql+psycopg://" + url.removeprefix(prefix)
        scheme, marked, rest = url.partition("://")
        if marked and not url.startswith("sqlite:///"):  # a file, whose path may hold anything
            read_url(url, schemes=None)
            url = f"{scheme}://{rest.replace('@', '%40', rest.count('@') - 1)}" if "@" in rest else url
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
    """Yield a session of the attempt's own; what it does not commit is rolled back."""
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
