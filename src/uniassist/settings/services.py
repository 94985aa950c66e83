"""The settings of each service, read from the environment by its `app.py` and by nobody else."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from uniassist.errors import SettingsError
from uniassist.settings.app_auth import AppAuthSettings
from uniassist.settings.console import ConsoleSettings
from uniassist.settings.reader import Reader, Secret
from uniassist.settings.variables import PLAN_TOKEN, REMINDER_TOKEN

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServiceSettings:
    """What every service needs. `port_variable` is the variable to name when the port is taken.

    `instance`, `env_digest` None: no release tool started it. `traces`: an exporter of spans is configured.
    `bodies_bytes`: of all bodies that arrive at a time. `processes`: of this service, on its one port.
    """

    env: str
    revision: str
    instance: str | None
    env_digest: str | None
    log_level: str
    host: str
    port: int
    port_variable: str
    traces: bool
    bodies_bytes: int
    processes: int = 1

    @classmethod
    def read(cls, reader: Reader, port_variable: str, processes_variable: str | None = None) -> ServiceSettings:
        """`processes_variable` None: it is always one."""
        host = reader.text("HOST")
        if reader.env == "dev" and host not in _LOOPBACK:
            raise SettingsError("HOST: dev listens on loopback only; set UNIASSIST_ENV for another address")
        own_port = reader.optional_integer("PORT")
        return cls(
            env=reader.env,
            revision=reader.text("UNIASSIST_REVISION"),
            instance=reader.optional("UNIASSIST_INSTANCE"),
            env_digest=reader.optional("UNIASSIST_ENV_DIGEST"),
            log_level=reader.choice("UNIASSIST_LOG_LEVEL"),
            host=host,
            port=own_port if own_port is not None else reader.integer(port_variable),
            port_variable="PORT" if own_port is not None else port_variable,
            traces=_traces(reader),
            bodies_bytes=reader.integer("UNIASSIST_BODIES_MIB") * 1024 * 1024,
            processes=reader.integer(processes_variable) if processes_variable is not None else 1,
        )


def _traces(reader: Reader) -> bool:
    """Checks here what the SDK will read by itself: it would only warn, and send nothing."""
    endpoints = [
        reader.optional_http_url("OTEL_EXPORTER_OTLP_ENDPOINT"),
        reader.optional_http_url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ]
    reader.choice("OTEL_EXPORTER_OTLP_PROTOCOL")
    reader.optional("OTEL_EXPORTER_OTLP_HEADERS")
    is_off = reader.optional_boolean("OTEL_SDK_DISABLED") or reader.choice("OTEL_TRACES_EXPORTER") == "none"
    return any(endpoints) and not is_off


@dataclass(frozen=True)
class StreamSettings:
    """`lanes` None: the streams have none."""

    prefix: str
    global_key: str
    group: str
    consumer: str
    block_ms: int
    batch_size: int
    session_hours: int
    others_max_age_seconds: int
    others_max_entries: int
    lanes: int | None = None

    @classmethod
    def read(cls, reader: Reader, port: int) -> StreamSettings:
        prefix = reader.text("UNIASSIST_STREAM_PREFIX")
        return cls(
            prefix=prefix,
            global_key=reader.optional("UNIASSIST_STREAM_GLOBAL_KEY") or f"{prefix}all",
            group=reader.text("UNIASSIST_STREAM_GROUP"),
            consumer=reader.optional("UNIASSIST_STREAM_CONSUMER") or f"{socket.gethostname()}-{port}",
            block_ms=reader.integer("STREAM_CONSUMER_BLOCK_MS"),
            batch_size=reader.integer("STREAM_CONSUMER_BATCH_SIZE"),
            session_hours=reader.integer("STREAM_SESSION_HOURS"),
            others_max_age_seconds=reader.integer("STREAM_OTHERS_MAX_AGE_SECONDS"),
            others_max_entries=reader.integer("STREAM_OTHERS_MAX_ENTRIES"),
            lanes=reader.lanes(),
        )


@dataclass(frozen=True)
class BoundsSettings:
    """Of one user or one address; 0: no limit. `rate` a second, `day_bytes` a day, `hour_sessions` an hour."""

    rate: int
    streams: int
    day_bytes: int
    hour_sessions: int

    @classmethod
    def read(cls, reader: Reader, whose: str) -> BoundsSettings:
        return cls(
            rate=reader.integer(f"GATEWAY_RATE_LIMIT_PER_{whose}"),
            streams=reader.integer(f"GATEWAY_STREAMS_PER_{whose}"),
            day_bytes=reader.integer(f"GATEWAY_DAY_MIB_PER_{whose}") * 1024 * 1024,
            hour_sessions=reader.integer(f"GATEWAY_HOUR_SESSIONS_PER_{whose}"),
        )


@dataclass(frozen=True)
class GatewaySettings:
    """`app_auth` None: apps need no token. `unknown_streams`: of sessions that don't exist yet.

    `signatures`: the forms that are taken. `cors_loopback`: pages of this machine may call.
    `plan_token`, `reminder_token`: what those are shown; None: nothing.
    `console` None: it isn't served.
    """

    service: ServiceSettings
    database_url: Secret
    redis_url: Secret
    adapter_secrets: tuple[Secret, ...]
    provider_context_token: Secret
    plan_base_url: str | None
    reminder_base_url: str | None
    providers_file: str | None
    cors_origins: list[str]
    cors_loopback: bool
    signatures: list[str]
    plan_token: Secret | None
    reminder_token: Secret | None
    ingest_queue_size: int
    outbox_max_attempts: int
    provider_timeout_ms: int
    public_url: str | None
    of_user: BoundsSettings
    of_address: BoundsSettings
    unknown_streams: int
    trusted_proxies: list[str]
    app_auth: AppAuthSettings | None
    streams: StreamSettings
    operator_token: Secret | None
    console: ConsoleSettings | None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> GatewaySettings:
        reader = Reader(environ)
        service = ServiceSettings.read(reader, "GATEWAY_PORT", "GATEWAY_PROCESSES")
        previous = reader.optional_secret("UNIASSIST_ADAPTER_SECRET_PREVIOUS")
        plan_base_url = reader.optional_http_url("UNIASSIST_PLAN_PROVIDER_BASE_URL")
        reminder_base_url = reader.optional_http_url("UNIASSIST_REMINDER_PROVIDER_BASE_URL")
        return cls(
            service=service,
            database_url=reader.database_url(),
            redis_url=reader.redis_url(),
            adapter_secrets=(reader.secret("UNIASSIST_ADAPTER_SECRET"), *((previous,) if previous else ())),
            provider_context_token=reader.secret("UNIASSIST_PROVIDER_CONTEXT_TOKEN"),
            plan_base_url=plan_base_url,
            reminder_base_url=reminder_base_url,
            providers_file=reader.optional("UNIASSIST_PROVIDERS_FILE"),
            cors_origins=reader.items("UNIASSIST_CORS_ORIGINS"),
            cors_loopback=reader.env == "dev" and not reader.items("UNIASSIST_CORS_ORIGINS"),
            signatures=reader.chosen_items("UNIASSIST_SIGNATURES"),
            plan_token=_provider_token(reader, PLAN_TOKEN, is_called=plan_base_url is not None),
            reminder_token=_provider_token(reader, REMINDER_TOKEN, is_called=reminder_base_url is not None),
            ingest_queue_size=reader.integer("GATEWAY_INGEST_QUEUE_SIZE"),
            outbox_max_attempts=reader.integer("OUTBOX_MAX_ATTEMPTS"),
            provider_timeout_ms=reader.integer("GATEWAY_PROVIDER_TIMEOUT_MS"),
            public_url=reader.optional_http_url("GATEWAY_PUBLIC_URL"),
            of_user=BoundsSettings.read(reader, "USER"),
            of_address=BoundsSettings.read(reader, "ADDRESS"),
            unknown_streams=reader.integer("GATEWAY_UNKNOWN_STREAMS"),
            trusted_proxies=reader.items("GATEWAY_TRUSTED_PROXIES"),
            app_auth=AppAuthSettings.read(reader),
            streams=StreamSettings.read(reader, service.port),
            operator_token=reader.optional_secret("UNIASSIST_OPERATOR_TOKEN"),
            console=ConsoleSettings.read(reader),
        )


@dataclass(frozen=True)
class OutboxSettings:
    poll_ms: int
    batch_size: int
    max_attempts: int
    backoff_base_ms: int
    backoff_max_ms: int
    retention_hours: int

    @classmethod
    def read(cls, reader: Reader) -> OutboxSettings:
        return cls(
            poll_ms=reader.integer("OUTBOX_POLL_MS"),
            batch_size=reader.integer("OUTBOX_BATCH_SIZE"),
            max_attempts=reader.integer("OUTBOX_MAX_ATTEMPTS"),
            backoff_base_ms=reader.integer("OUTBOX_BACKOFF_BASE_MS"),
            backoff_max_ms=reader.integer("OUTBOX_BACKOFF_MAX_MS"),
            retention_hours=reader.integer("OUTBOX_RETENTION_HOURS"),
        )


@dataclass(frozen=True)
class WorkerSettings:
    service: ServiceSettings
    database_url: Secret
    redis_url: Secret
    streams: StreamSettings
    outbox: OutboxSettings
    session_days: int
    timeline_days: int

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> WorkerSettings:
        reader = Reader(environ)
        service = ServiceSettings.read(reader, "WORKER_PORT")
        return cls(
            service=service,
            database_url=reader.database_url(),
            redis_url=reader.redis_url(),
            streams=StreamSettings.read(reader, service.port),
            outbox=OutboxSettings.read(reader),
            session_days=reader.integer("RETENTION_SESSION_DAYS"),
            timeline_days=reader.integer("RETENTION_TIMELINE_DAYS"),
        )


@dataclass(frozen=True)
class PlanModelSettings:
    """`key` None: the endpoint asks for none."""

    url: str
    model: str
    key: Secret | None

    @classmethod
    def read(cls, reader: Reader) -> PlanModelSettings | None:
        url, model = reader.optional_http_url("UNIASSIST_PLAN_MODEL_URL"), reader.optional("UNIASSIST_PLAN_MODEL")
        key = reader.optional_secret("UNIASSIST_PLAN_MODEL_KEY")
        if url is None:
            return None
        if model is None:
            raise SettingsError("UNIASSIST_PLAN_MODEL: required with UNIASSIST_PLAN_MODEL_URL, but not set")
        return cls(url, model, key)


@dataclass(frozen=True)
class ProviderPlanSettings:
    """`token`: what the gateway shows with each call; None: anybody may call.

    `database_url` None: no plan is kept. `access_token` None: the gateway isn't told of steps that are due.
    """

    service: ServiceSettings
    token: Secret | None
    database_url: Secret | None
    gateway_url: str
    access_token: Secret | None
    public_url: str | None
    link_hours: int
    due_hour: int
    plan_days: int
    model: PlanModelSettings | None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> ProviderPlanSettings:
        reader = Reader(environ)
        is_needed = reader.strict
        access = "UNIASSIST_PROVIDER_CONTEXT_TOKEN"
        return cls(
            service=ServiceSettings.read(reader, "PROVIDER_PLAN_PORT", "PROVIDER_PLAN_PROCESSES"),
            token=_provider_token(reader, PLAN_TOKEN, is_called=True),
            database_url=reader.database_url() if is_needed or reader.optional("DATABASE_URL") else None,
            gateway_url=reader.http_url("GATEWAY_URL"),
            access_token=reader.secret(access) if is_needed else reader.optional_secret(access),
            public_url=reader.optional_http_url("UNIASSIST_PLAN_PUBLIC_URL"),
            link_hours=reader.integer("PLAN_LINK_HOURS"),
            due_hour=reader.integer("PLAN_DUE_HOUR"),
            plan_days=reader.integer("RETENTION_PLAN_DAYS"),
            model=PlanModelSettings.read(reader),
        )


@dataclass(frozen=True)
class ProviderReminderSettings:
    """`token`: what the gateway shows with each call; None: anybody may call.

    `gateway_url`, `access_token`: where reminders go, and what is shown there. `reminder_days`: how long those that
    are over are kept; 0: for ever.
    """

    service: ServiceSettings
    database_url: Secret
    token: Secret | None
    gateway_url: str
    access_token: Secret
    reminder_days: int

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> ProviderReminderSettings:
        reader = Reader(environ)
        own = reader.optional_secret(f"{REMINDER_TOKEN}_ACCESS")
        return cls(
            service=ServiceSettings.read(reader, "PROVIDER_REMINDER_PORT", "PROVIDER_REMINDER_PROCESSES"),
            database_url=reader.database_url(),
            token=_provider_token(reader, REMINDER_TOKEN, is_called=True),
            gateway_url=reader.http_url("GATEWAY_URL"),
            access_token=own if own is not None else reader.secret("UNIASSIST_PROVIDER_CONTEXT_TOKEN"),
            reminder_days=reader.integer("RETENTION_REMINDER_DAYS"),
        )


def _provider_token(reader: Reader, variable: str, *, is_called: bool) -> Secret | None:
    """Needed outside dev and test, where the provider is called."""
    return reader.secret(variable) if reader.strict and is_called else reader.optional_secret(variable)


@dataclass(frozen=True)
class WechatAccountSettings:
    """What the account itself is set up with, as `uniassist wechat check` looks at it too.

    `encoding_aes_key` None means plain mode; without `app_id` or `app_secret`, passive replies only.
    """

    token: Secret
    app_id: str | None
    app_secret: Secret | None
    encoding_aes_key: Secret | None
    api_base_url: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> WechatAccountSettings:
        return cls.read(Reader(environ))

    @classmethod
    def read(cls, reader: Reader) -> WechatAccountSettings:
        return cls(
            token=reader.secret("WECHAT_TOKEN"),
            app_id=reader.optional("WECHAT_APP_ID"),
            app_secret=reader.optional_secret("WECHAT_APP_SECRET"),
            encoding_aes_key=reader.optional_secret("WECHAT_ENCODING_AES_KEY"),
            api_base_url=reader.http_url("WECHAT_API_BASE_URL"),
        )


@dataclass(frozen=True)
class AdapterWechatSettings:
    service: ServiceSettings
    database_url: Secret
    redis_url: Secret
    streams: StreamSettings
    account: WechatAccountSettings
    gateway_url: str
    adapter_secret: Secret
    provider_context_token: Secret
    json_entrance: bool
    ai_mark: bool
    text_bytes: int
    media_dir: str
    media_days: int
    media_hosts: list[str]

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> AdapterWechatSettings:
        reader = Reader(environ)
        entrance = reader.optional_boolean("WECHAT_JSON_ENTRANCE")
        service = ServiceSettings.read(reader, "ADAPTER_WECHAT_PORT")
        return cls(
            service=service,
            database_url=reader.database_url(),
            redis_url=reader.redis_url(),
            streams=StreamSettings.read(reader, service.port),
            account=WechatAccountSettings.read(reader),
            gateway_url=reader.http_url("GATEWAY_URL"),
            adapter_secret=reader.secret("UNIASSIST_ADAPTER_SECRET"),
            provider_context_token=reader.secret("UNIASSIST_PROVIDER_CONTEXT_TOKEN"),
            json_entrance=entrance if entrance is not None else not reader.strict,
            ai_mark=reader.optional_boolean("WECHAT_AI_MARK") or False,
            text_bytes=reader.integer("WECHAT_TEXT_BYTES"),
            media_dir=reader.text("WECHAT_MEDIA_DIR"),
            media_days=reader.integer("WECHAT_MEDIA_DAYS"),
            media_hosts=reader.items("WECHAT_MEDIA_HOSTS"),
        )
