"""Every environment variable that UniAssist reads, once: its kind, default, secrecy and meaning.

`ops/deploy/staging/env.example` is rendered from this table (`make env-example`); a test holds both together.
"""

from __future__ import annotations

import re

from uniassist.settings.bounds_variables import BOUNDS
from uniassist.settings.console_variables import CONSOLE
from uniassist.settings.variable import Variable, VariableGroup, count, port, processes, secret, url

# Secrets that a providers file names: `token_env`, `access_token_env`.
PROVIDER_TOKEN_PREFIX = "UNIASSIST_PROVIDER_TOKEN_"  # noqa: S105 - the beginning of variables' names
PLAN_TOKEN = f"{PROVIDER_TOKEN_PREFIX}PLAN"
REMINDER_TOKEN = f"{PROVIDER_TOKEN_PREFIX}REMINDER"

GROUPS: tuple[VariableGroup, ...] = (
    VariableGroup(
        "Where it runs",
        (
            Variable(
                "UNIASSIST_ENV",
                "choice",
                "Outside dev and test a missing or placeholder secret stops a service at its start.",
                "dev",
                need="required",
                choices=("dev", "test", "staging", "prod"),
            ),
            Variable("UNIASSIST_REVISION", "text", "The revision that /health reports.", "unknown"),
            Variable("UNIASSIST_INSTANCE", "text", "The process that /health reports; set by a driver."),
            Variable("UNIASSIST_ENV_DIGEST", "text", "The env set that /health reports; set by a driver."),
            Variable(
                "UNIASSIST_LOG_LEVEL",
                "choice",
                "Least severe line that is logged.",
                "info",
                choices=("debug", "info", "warning", "error"),
            ),
            Variable("HOST", "text", "Address to listen on; dev allows loopback only.", "127.0.0.1"),
            Variable(
                "PORT", "integer", "Overrides the port of the one service started with it.", low=1, high=65535
            ),
            count(
                "UNIASSIST_BODIES_MIB",
                "64",
                "What the bodies that arrive at a service may take at a time, all of them, in MiB; beyond it 503.",
                2,
                65_536,
            ),
            port("GATEWAY_PORT", "8787", "the gateway"),
            port("ADAPTER_WECHAT_PORT", "8788", "adapter-wechat"),
            port("WORKER_PORT", "8789", "the worker's health and metrics"),
            port("PROVIDER_PLAN_PORT", "8890", "provider-plan"),
            port("PROVIDER_REMINDER_PORT", "8891", "provider-reminder"),
            processes("GATEWAY_PROCESSES", "The gateway"),
            processes("PROVIDER_PLAN_PROCESSES", "provider-plan"),
            processes("PROVIDER_REMINDER_PROCESSES", "provider-reminder"),
        ),
    ),
    VariableGroup(
        "Postgres and Redis (either missing under `uniassist up`: an embedded server)",
        (
            Variable(
                "DATABASE_URL",
                "url",
                "Postgres 14 or newer.",
                need="required",
                secret=True,
                example="postgresql://uniassist:PASSWORD@db.staging.example:5432/uniassist",
            ),
            Variable(
                "REDIS_URL",
                "url",
                "Redis 6.2 or newer.",
                need="required",
                secret=True,
                example="redis://:PASSWORD@redis.staging.example:6379/0",
            ),
        ),
    ),
    VariableGroup(
        "Gateway",
        (
            secret("UNIASSIST_ADAPTER_SECRET", "Signs what channel adapters send to the gateway."),
            secret(
                "UNIASSIST_ADAPTER_SECRET_PREVIOUS",
                "While a secret is being changed: the old one, still accepted.",
                need="optional",
            ),
            secret("UNIASSIST_PROVIDER_CONTEXT_TOKEN", "Bearer token of providers: context:read, events:write."),
            url(
                "UNIASSIST_PLAN_PROVIDER_BASE_URL",
                "Where the gateway calls provider-plan; empty: plan routes, but is not connected.",
                "http://provider-plan.staging.example:8890",
                need="required",
            ),
            secret(
                PLAN_TOKEN,
                "Bearer token that the gateway shows to provider-plan, which outside dev and test takes no call "
                "without.",
            ),
            url(
                "UNIASSIST_REMINDER_PROVIDER_BASE_URL",
                "Where the gateway calls provider-reminder; empty: reminder routes, but is not connected.",
                "http://provider-reminder.staging.example:8891",
            ),
            secret(
                REMINDER_TOKEN,
                "Bearer token that the gateway shows to provider-reminder, which outside dev and test takes no "
                "call without; needed where that is called.",
                need="optional",
            ),
            secret(
                f"{REMINDER_TOKEN}_ACCESS",
                "Bearer token that provider-reminder shows to the gateway, where the providers file names it; "
                "empty: UNIASSIST_PROVIDER_CONTEXT_TOKEN.",
                need="optional",
            ),
            Variable("UNIASSIST_PROVIDERS_FILE", "text", "Providers file (TOML); empty: the one in the package."),
            Variable(
                "UNIASSIST_CORS_ORIGINS",
                "list",
                "Origins whose pages may call, comma-separated; * for all. Empty: in dev this machine's, else "
                "none.",
            ),
            Variable(
                "UNIASSIST_SIGNATURES",
                "list",
                "Forms of signatures that are taken, comma-separated: 2 signs method, path and query too, webhooks "
                "is Standard Webhooks, 1 is for channels that know no other.",
                "1,2,webhooks",
                choices=("1", "2", "webhooks"),
            ),
            count(
                "GATEWAY_INGEST_QUEUE_SIZE",
                "2000",
                "Inputs waiting for a commit before the gateway answers 503.",
                1,
                1_000_000,
            ),
            Variable(
                "UNIASSIST_APP_AUTH",
                "choice",
                "jwt: apps need a token, and see only their own sessions. off: they don't. Outside dev and test it "
                "must be said which.",
                need="required",
                choices=("off", "jwt"),
            ),
            secret(
                "UNIASSIST_APP_JWT_KEY",
                "With jwt: the public key in PEM, or the shared secret, that app tokens are checked with.",
                need="optional",
            ),
            secret(
                "UNIASSIST_APP_JWT_KEY_PREVIOUS",
                "While the key is being changed: the other one, taken as well.",
                need="optional",
            ),
            Variable(
                "UNIASSIST_APP_JWT_JWKS",
                "text",
                "With jwt: a JSON Web Key Set, as a file's path or an https URL, beside the key or instead of it.",
                secret=True,
            ),
            Variable(
                "UNIASSIST_APP_JWT_USER_CLAIM", "text", "With jwt: the claim that every userId must equal.", "sub"
            ),
            count(
                "UNIASSIST_APP_JWT_MAX_HOURS",
                "8784",
                "With jwt: a token whose exp is further off is refused; 0: no limit.",
                0,
                1_000_000,
            ),
            Variable("UNIASSIST_APP_JWT_ISSUER", "text", "With jwt: the iss that tokens must have; empty: any."),
            Variable("UNIASSIST_APP_JWT_AUDIENCE", "text", "With jwt: the aud that tokens must have; empty: any."),
            url(
                "GATEWAY_PUBLIC_URL",
                "Where A2A agents reach the gateway's /a2a/pushed/, to say that a task has moved; empty: they are "
                "asked now and then.",
                "https://chat.staging.example",
            ),
            count("GATEWAY_PROVIDER_TIMEOUT_MS", "8000", "Deadline of one provider call.", 100, 120_000),
            secret(
                "UNIASSIST_OPERATOR_TOKEN",
                "Bearer token of POST /v0/operator/…: a user's data exported and erased; empty: no such calls.",
                need="optional",
            ),
        ),
    ),
    BOUNDS,
    CONSOLE,
    VariableGroup(
        "Streams",
        (
            Variable(
                "UNIASSIST_STREAM_PREFIX", "text", "Session streams: <prefix><sessionId>.", "uniassist:timeline:"
            ),
            Variable("UNIASSIST_STREAM_GLOBAL_KEY", "text", "The global stream; empty: <prefix>all."),
            Variable("UNIASSIST_STREAM_GROUP", "text", "Consumer group of the worker.", "ua-delivery"),
            Variable(
                "UNIASSIST_STREAM_CONSUMER",
                "text",
                "Consumer name; must be stable and the worker's own. Empty: from the host's name and the port.",
            ),
            count("STREAM_CONSUMER_BLOCK_MS", "2000", "Longest wait of one group read.", 10, 60_000),
            count("STREAM_CONSUMER_BATCH_SIZE", "500", "Entries in one group read.", 1, 10_000),
            count(
                "STREAM_SESSION_HOURS",
                "168",
                "A session's stream stays in Redis this long after its last event; its timeline stays in Postgres.",
                1,
                8760,
            ),
            count(
                "STREAM_OTHERS_MAX_AGE_SECONDS",
                "86400",
                "An entry is kept this long for consumer groups that aren't ours; 0: until they acknowledge it.",
                0,
                31_536_000,
            ),
            count(
                "STREAM_OTHERS_MAX_ENTRIES",
                "100000",
                "Entries on the global stream above which those that only such groups wait for go; 0: no limit.",
                0,
                1_000_000_000,
            ),
        ),
    ),
    VariableGroup(
        "Outbox",
        (
            count("OUTBOX_POLL_MS", "1000", "Backstop poll; delivery itself is woken by a hint.", 10, 60_000),
            count("OUTBOX_BATCH_SIZE", "500", "Events in one claim.", 1, 10_000),
            count("OUTBOX_MAX_ATTEMPTS", "12", "Attempts before an event is a dead letter.", 1, 1_000),
            count("OUTBOX_BACKOFF_BASE_MS", "1000", "First backoff; doubles with each attempt.", 1, 3_600_000),
            count("OUTBOX_BACKOFF_MAX_MS", "300000", "Longest backoff.", 1, 86_400_000),
            count(
                "RETENTION_SESSION_DAYS",
                "730",
                "A session goes with its timeline and runs so many days after its last activity, once all of it is "
                "delivered; 0: never.",
                0,
                36_500,
            ),
            count(
                "RETENTION_TIMELINE_DAYS",
                "730",
                "Events and runs of sessions in use go after so many days, once they are delivered; 0: never.",
                0,
                36_500,
            ),
            count("OUTBOX_RETENTION_HOURS", "168", "Consumed rows are kept this long; 0: for ever.", 0, 87_600),
        ),
    ),
    VariableGroup(
        "provider-reminder",
        (
            count(
                "RETENTION_REMINDER_DAYS",
                "90",
                "Reminders that are over or cancelled, and what is known of people without any, go after so many "
                "days; 0: never.",
                0,
                36_500,
            ),
        ),
    ),
    VariableGroup(
        "adapter-wechat",
        (
            url(
                "GATEWAY_URL",
                "Where adapter-wechat, provider-plan and provider-reminder find the gateway.",
                "http://gateway.staging.example:8787",
                "http://127.0.0.1:8787",
                need="required",
            ),
            Variable("WECHAT_APP_ID", "text", "App id of the Official Account."),
            secret(
                "WECHAT_APP_SECRET",
                "App secret of the Official Account; empty: passive replies only.",
                need="optional",
            ),
            secret("WECHAT_TOKEN", "Token of the Official Account's server configuration."),
            secret("WECHAT_ENCODING_AES_KEY", "43 characters; empty: plain mode.", need="optional"),
            url(
                "WECHAT_API_BASE_URL",
                "Base URL of the platform's API.",
                "http://127.0.0.1:9000",
                "https://api.weixin.qq.com",
            ),
            Variable(
                "WECHAT_JSON_ENTRANCE",
                "boolean",
                "The unsigned JSON test entrance; empty: on in dev and test, off elsewhere.",
            ),
            Variable("WECHAT_AI_MARK", "boolean", "Mark messages as written by a machine.", "false"),
            count(
                "WECHAT_TEXT_BYTES",
                "2000",
                "Longest text of one message, in bytes of UTF-8; longer ones are sent in pieces.",
                200,
                20_000,
            ),
            Variable(
                "WECHAT_MEDIA_DIR",
                "text",
                "Where the images, voices and videos that people send are kept: a folder, or a URL that fsspec "
                "knows, such as s3://bucket/wechat with s3fs installed.",
                ".uniassist/wechat-media",
            ),
            Variable(
                "WECHAT_MEDIA_HOSTS",
                "list",
                "Hosts that videos are fetched from when the platform names one: host, *.host, with :port where it "
                "isn't the scheme's own. Their addresses have to be public. The API's own origin always.",
                "*.weixin.qq.com,*.tc.qq.com,*.wx.qq.com",
            ),
            count("WECHAT_MEDIA_DAYS", "30", "Media are deleted after so many days; 0: kept for ever.", 0, 36_500),
        ),
    ),
    VariableGroup(
        "provider-plan (keeps plans in DATABASE_URL, which outside dev and test it needs)",
        (
            url(
                "UNIASSIST_PLAN_PUBLIC_URL",
                "Where people's devices reach provider-plan's /calendars/, and nothing else of it; empty: no "
                "calendar is exported.",
                "https://chat.staging.example/plan",
            ),
            count("PLAN_LINK_HOURS", "168", "A link to a calendar ends after so many hours.", 1, 87_600),
            count("PLAN_DUE_HOUR", "8", "At this hour of a person's day the steps of the day are told.", 0, 23),
            count(
                "RETENTION_PLAN_DAYS",
                "730",
                "A plan goes so many days after its end and its last use; 0: never.",
                0,
                36_500,
            ),
            url(
                "UNIASSIST_PLAN_MODEL_URL",
                "An endpoint with OpenAI's chat completions that suggests steps; empty: plans are made without.",
                "http://127.0.0.1:11434/v1",
            ),
            Variable("UNIASSIST_PLAN_MODEL", "text", "The model's name there; needed with the URL."),
            secret("UNIASSIST_PLAN_MODEL_KEY", "Its API key, where it asks for one.", need="optional"),
        ),
    ),
    VariableGroup(
        "Traces (OpenTelemetry; the SDK reads its other OTEL_ variables too)",
        (
            url(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "A collector that takes OTLP over HTTP; empty: no spans are recorded.",
                "http://collector.staging.example:4318",
            ),
            url(
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "The whole URL for spans, where it isn't the endpoint with /v1/traces.",
                "http://collector.staging.example:4318/v1/traces",
            ),
            secret("OTEL_EXPORTER_OTLP_HEADERS", "Headers for the collector: name=value,…", need="optional"),
            Variable(
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "choice",
                "The one that is spoken here.",
                "http/protobuf",
                choices=("http/protobuf",),
            ),
            Variable("OTEL_TRACES_EXPORTER", "choice", "none: no spans.", "otlp", choices=("otlp", "none")),
            Variable("OTEL_SDK_DISABLED", "boolean", "true: no spans.", "false"),
        ),
    ),
    VariableGroup(
        "Post-release verification",
        (
            url(
                "STAGING_GATEWAY_BASE_URL",
                "The gateway, as the verifier reaches it.",
                "http://gateway.staging.example:8787",
            ),
            url(
                "STAGING_PROVIDER_PLAN_BASE_URL",
                "provider-plan, as the verifier reaches it.",
                "http://provider-plan.staging.example:8890",
            ),
            url(
                "STAGING_ADAPTER_WECHAT_BASE_URL",
                "adapter-wechat, as the verifier reaches it.",
                "http://adapter-wechat.staging.example:8788",
            ),
            Variable(
                "STAGING_PROVIDERS",
                "list",
                "Providers that are released with the four services, behind provider-plan and in this order: their "
                "ids, comma-separated. Each has a STAGING_PROVIDER_…_BASE_URL.",
                example="reminder",
            ),
            url(
                "STAGING_PROVIDER_REMINDER_BASE_URL",
                "provider-reminder, as the verifier reaches it; optional.",
                "http://provider-reminder.staging.example:8891",
            ),
            url("STAGING_WORKER_BASE_URL", "The worker's health; optional.", "http://worker.staging.example:8789"),
            secret("STAGING_CONTEXT_TOKEN", "Token for the context API check; optional.", need="optional"),
            secret("STAGING_APP_TOKEN", "App token when app authentication is on; optional.", need="optional"),
            count("STAGING_VERIFY_TIMEOUT_MS", "30000", "Deadline of the whole verification.", 1000, 600_000),
            secret(
                "STAGING_ALERT_COMMAND",
                "Run by a shell for every alert of a release watch, with the alert as JSON on its standard input.",
                need="optional",
            ),
        ),
    ),
    VariableGroup(
        "Worker reliability drill",
        (
            Variable(
                "WORKER_DRILL_MODE",
                "choice",
                "live injects faults into DATABASE_URL and REDIS_URL; unset never means live.",
                choices=("simulate", "live"),
            ),
            count("WORKER_DRILL_TIMEOUT_MS", "45000", "Deadline of each step.", 1000, 600_000),
            Variable("WORKER_DRILL_ENABLE_NOGROUP", "boolean", "Destroy the consumer group once.", "true"),
            Variable(
                "WORKER_DRILL_OUTPUT_PATH",
                "text",
                "Where the evidence is written.",
                "ops/deploy/reports/staging-worker-drill-latest.md",
            ),
        ),
    ),
)


VARIABLES: dict[str, Variable] = {variable.name: variable for group in GROUPS for variable in group.variables}

_OF_A_PROVIDER = re.compile(r"(?:STAGING_)?PROVIDER_(?P<whose>[A-Z0-9_]+)_(?P<what>PORT|BASE_URL)")


def variable_named(name: str) -> Variable:
    """KeyError for one that isn't read here. Those of a provider of somebody else's are named as ours are."""
    if name in VARIABLES:
        return VARIABLES[name]
    found = _OF_A_PROVIDER.fullmatch(name)
    if found is None:
        raise KeyError(name)
    whose = f"provider-{found['whose'].lower().replace('_', '-')}"
    if found["what"] == "PORT":
        return Variable(name, "integer", f"Port of {whose}.", low=1, high=65535)
    return url(name, f"{whose}, as the verifier reaches it.", f"http://{whose}.staging.example:8892")
