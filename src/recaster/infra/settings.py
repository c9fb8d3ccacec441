"""Every setting of the product in one place, each with a default that works and a sentence that explains it.

Values come, in this order, from arguments, `RECASTER_…` environment variables, and `recaster.toml` in the working
folder (or the file that `RECASTER_CONFIG` names). Nothing is opened or created here except by `pepper`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from recaster.infra.addresses import Network, parse_networks
from recaster.infra.logging import redact

RateClass = Literal["read-light", "write-light", "long-running"]
"""What a route costs: each class has its own budget of requests a minute."""
RateTier = Literal["standard", "pilot", "partner"]
"""The contract's three sizes of customer."""


class TierLimits(BaseModel):
    """What one tier may do."""

    requests_per_minute: dict[RateClass, int]
    running_jobs: int
    """Jobs of one organization that may run at the same time."""


TIERS: Final[dict[RateTier, TierLimits]] = {
    "standard": TierLimits(
        requests_per_minute={"read-light": 120, "write-light": 60, "long-running": 20}, running_jobs=5
    ),
    "pilot": TierLimits(
        requests_per_minute={"read-light": 1200, "write-light": 600, "long-running": 60}, running_jobs=25
    ),
    "partner": TierLimits(
        requests_per_minute={"read-light": 6000, "write-light": 3000, "long-running": 300}, running_jobs=100
    ),
}
"""The tiers as the contract states them."""


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "recaster"


class Settings(BaseSettings):
    """All settings. `Settings()` reads environment and file; tests pass values instead."""

    model_config = SettingsConfigDict(env_prefix="RECASTER_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=_default_home, description="Folder for database, objects, work files, models, secrets."
    )
    database_url: str = Field(default="", description="SQLAlchemy URL; empty means the SQLite file in `home`.")
    storage_url: str = Field(
        default="", description="`s3://bucket/prefix` or `file:///folder`; empty means `objects` in `home`."
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8480, ge=0, le=65535, description="Port the API listens on.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )

    worker_concurrency: int = Field(
        default=16,
        ge=1,
        le=64,
        description="Jobs that one worker process has in hand at a time, waiting ones included.",
    )
    render_slots: int = Field(
        default=1, ge=1, le=64, description="Stages (analyse, render…) that one worker runs at the same time."
    )
    engine_poll_seconds: float = Field(default=0.2, gt=0, le=60, description="How often a worker looks for new jobs.")
    executor_id: str = Field(
        default="local", min_length=1, description="Stable name of this worker; on SQLite there is one."
    )
    lease_seconds: float = Field(
        default=15.0, gt=1, description="After how long without a sign of life another worker takes over (Postgres)."
    )
    max_job_attempts: int = Field(default=3, ge=1, le=20, description="Starts of one job before it fails as INTERNAL.")
    idempotency_wait_seconds: float = Field(
        default=5.0, ge=0, le=30, description="How long a duplicate in flight waits for the first."
    )

    copy_adapter: Literal["formula", "provider", "local"] = Field(
        default="formula",
        description="Who writes the texts: embedded formulas, a language model, or the small model on this machine.",
    )
    copy_formulas: Path | None = Field(
        default=None, description="Folder with formulas of one's own (`<language>/*.toml`) beside the packaged ones."
    )
    copy_family: Literal["openai", "anthropic", "google"] = Field(
        default="openai", description="Protocol of the provider; `openai` serves every OpenAI-compatible server."
    )
    copy_base_url: str = Field(default="", description="Base URL of the provider; empty means the family's own.")
    copy_model: str = Field(default="", description="Model name at the provider.")
    copy_api_key: SecretStr = Field(default=SecretStr(""), description="API key of the provider.")
    copy_second_family: Literal["openai", "anthropic", "google"] = Field(
        default="openai", description="Protocol of the second provider."
    )
    copy_second_base_url: str = Field(default="", description="Base URL of the second provider.")
    copy_second_model: str = Field(default="", description="Model asked where the first one fails; empty means none.")
    copy_second_api_key: SecretStr = Field(default=SecretStr(""), description="API key of the second provider.")
    copy_timeout_seconds: float = Field(
        default=60.0, gt=0, le=600, description="Longest wait for one answer of a model."
    )
    copy_deadline_seconds: float = Field(
        default=180.0, gt=0, le=1800, description="Longest time with models for one video, corrections included."
    )
    copy_max_total_tokens: int = Field(
        default=40_000, ge=1000, description="Most tokens for one video, sent and received."
    )
    copy_local_threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Threads of the model on this machine; more than one stalls on a busy machine.",
    )

    face_swapper: str = Field(
        default="mesh",
        pattern=r"^(mesh|onnx:[A-Za-z0-9][A-Za-z0-9._-]*)$",
        description="Who draws the influencer's face: the embedded mesh, or `onnx:NAME`, described in `home/face-engines`.",
    )
    face_restorer: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        description="Name of a network in `home/face-engines` that sharpens drawn faces; empty means none.",
    )
    face_parser: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        description="Name of a network in `home/face-engines` that sees what is in front of a face; empty means none.",
    )
    noncommercial_engines: list[str] = Field(
        default_factory=list,
        description="Names of face engines that may be used although a licence of theirs forbids commercial use.",
    )
    inference_device: Literal["auto", "cpu"] = Field(
        default="auto", description="Where networks in `home/face-engines` run: a graphics processor if there is one."
    )

    egress_allow: str = Field(
        default="",
        description="Private networks that webhooks may reach, as CIDR with commas between (`127.0.0.0/8, ::1/128`); "
        "empty means none.",
    )

    source_fetcher: Literal["yt-dlp", "library"] = Field(
        default="yt-dlp", description="Where an unknown TikTok id is looked for: at TikTok, or nowhere but the library."
    )
    source_folder: Path | None = Field(
        default=None, description="Folder of videos named `<TikTok id>.mp4` that the operator provides; may be empty."
    )
    source_probe_seconds: float = Field(
        default=5.0, gt=0, le=30, description="How long a request may look for an unknown id before it is accepted."
    )
    source_probe_slots: int = Field(
        default=4, ge=1, le=64, description="Look-ups and searches that one API process runs at a time."
    )
    source_retry_seconds: tuple[int, ...] = Field(
        default=(60, 300, 1800, 7200), description="Pauses between the tries of a job to fetch its source."
    )
    source_proxy: SecretStr = Field(
        default=SecretStr(""), description="HTTP proxy of the operator for TikTok: `http://user:password@host:port`."
    )
    source_proxy_use: Literal["always", "second"] = Field(
        default="always", description="`second`: only to ask again where TikTok says that our address is blocked."
    )
    source_impersonate: str = Field(
        default="chrome", description="Browser whose connections yt-dlp imitates; empty lets yt-dlp choose."
    )
    source_device_id: str = Field(default="", description="Device id that yt-dlp shows to TikTok's app interface.")
    source_app_info: str = Field(
        default="", description="`iid/name/version/manifest/aid` of a TikTok app for yt-dlp; live search needs it."
    )
    source_api_hostname: str = Field(default="", description="Host of TikTok's app interface for yt-dlp.")
    source_ca_file: Path | None = Field(
        default=None, description="PEM file of certificate authorities for TikTok, where a proxy opens TLS."
    )
    source_hosts: tuple[str, ...] = Field(
        default=(), description="Domains that fetching may reach beside TikTok's own."
    )
    require_source_rights: bool = Field(
        default=False, description="Refuse to remix a source for which nobody has said on what basis."
    )
    source_rights_statement: str = Field(
        default="",
        max_length=2000,
        description="The operator's own word for all fetched sources, recorded with each of them; empty records none.",
    )
    isolation: Literal["strict", "best-effort"] = Field(
        default="best-effort", description="Whether untrusted files are touched where the isolation does not hold."
    )
    probe_memory_bytes: int = Field(
        default=1_500_000_000, ge=300_000_000, description="Address space of a process that examines a file."
    )
    stage_memory_bytes: int = Field(
        default=16_000_000_000, ge=1_000_000_000, description="Address space of a process that runs a stage."
    )

    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Largest JSON body of a request.")
    max_image_bytes: int = Field(default=20_971_520, ge=1024, description="Largest uploaded picture.")
    max_video_bytes: int = Field(default=200_000_000, ge=1024, description="Largest uploaded or fetched video.")
    max_video_seconds: int = Field(default=180, ge=1, description="Longest video that is remixed.")
    max_image_pixels: int = Field(default=40_000_000, ge=10_000, description="Most pixels of an uploaded picture.")

    video_remix_credits: int = Field(default=120, ge=0, description="Price of one remix in credits.")
    key_pepper: SecretStr = Field(
        default=SecretStr(""), description="Server secret under API key hashes; empty means the file in `home/secrets`."
    )
    sealing_key: SecretStr = Field(
        default=SecretStr(""),
        description="Under what webhook secrets are encrypted at rest: the new key first, older ones after a comma; empty "
        "means the file in `home/secrets`.",
    )
    rate_limit_store: Literal["auto", "memory", "database", "redis"] = Field(
        default="auto",
        description="Where request budgets are counted. `auto`: Redis if `redis_url` is set, the database on Postgres, "
        "this process's memory on SQLite. Several API processes need `database` or `redis`.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""), description="`redis://…` of the server that counts request budgets, if there is one."
    )
    event_retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How long events, ended webhook deliveries and the engine's records of ended jobs are kept.",
    )

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("egress_allow", mode="after")
    @classmethod
    def _networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the TOML file."""
        path = Path(os.environ.get("RECASTER_CONFIG", "recaster.toml"))
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path))

    def resolved_database_url(self) -> str:
        """Return the database URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'recaster.db'}"

    def resolved_storage_url(self) -> str:
        """Return the storage URL in force."""
        return self.storage_url or (self.home / "objects").as_uri()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one SQLite file, which means one machine and one worker process."""
        return self.resolved_database_url().startswith("sqlite")

    @property
    def models_folder(self) -> Path:
        """Where model files are installed."""
        return self.home / "models"

    @property
    def engines_folder(self) -> Path:
        """Where an operator puts face networks of their own."""
        return self.home / "face-engines"

    def folder(self, name: Literal["objects", "work", "models", "secrets"]) -> Path:
        """Return one of the folders in `home`, made with rights for its owner alone if it was not there."""
        path = self.home / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def limits(self, tier: RateTier) -> TierLimits:
        """Return what a tier may do."""
        return TIERS[tier]

    def open_networks(self) -> tuple[Network, ...]:
        """Return the private networks that the operator opened for outgoing requests."""
        return parse_networks(self.egress_allow)

    def pepper(self) -> bytes:
        """Return the server secret under API key hashes.

        Without `key_pepper` it is read from `home/secrets/pepper`, which is made on first use with mode 0600. Losing
        that file makes every API key invalid.
        """
        given = self.key_pepper.get_secret_value()
        if given:
            return hashlib.sha256(given.encode()).digest()
        return _secret_file(self.folder("secrets") / "pepper")

    def sealing_keys(self) -> tuple[bytes, ...]:
        """Return the keys under which secrets are encrypted in the database: the first seals, all of them open.

        Without `sealing_key` it is one key in `home/secrets/sealing`, made on first use with mode 0600. Losing it makes
        the stored webhook secrets unreadable: each endpoint's secret must then be rotated.
        """
        given = self.sealing_key.get_secret_value()
        if given:
            return tuple(hashlib.sha256(part.encode()).digest() for part in given.replace(",", " ").split())
        return (_secret_file(self.folder("secrets") / "sealing"),)

    def environment(self) -> dict[str, str]:
        """Return variables that give a child process the same settings, without any secret.

        Addresses of database and object store count as secrets: they may hold a password.
        """
        private = {"database_url", "storage_url"}
        shown: dict[str, str] = {}
        for name, value in self.model_dump(mode="json").items():
            if name in private or isinstance(getattr(self, name), SecretStr) or value is None:
                continue
            shown[f"RECASTER_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
        return shown

    def describe(self) -> dict[str, Any]:
        """Return all settings as plain values with secrets masked, for `recaster doctor`."""
        shown: dict[str, Any] = redact(self.model_dump(mode="json"))
        return shown


def _secret_file(path: Path) -> bytes:
    """Return the 32 bytes of a secret file, made of random ones if it is not there; safe for processes side by side."""
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link appears whole or not at all, and the first one stays.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    content = path.read_bytes()
    if len(content) != 32:
        raise RuntimeError(
            f"{path} holds {len(content)} bytes instead of 32: the secret file is damaged. Restore it from a backup; with a "
            "new one everything that it protects must be made again (API keys for the pepper, webhook secrets for sealing)."
        )
    return content
