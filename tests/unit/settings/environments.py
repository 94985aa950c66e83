"""Environments that a service starts in, to be spoilt by a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from uniassist.settings import (
    AdapterWechatSettings,
    GatewaySettings,
    ProviderPlanSettings,
    ProviderReminderSettings,
    WorkerSettings,
)

Read = Callable[[Mapping[str, str]], object]

SERVICES: dict[str, Read] = {
    "gateway": GatewaySettings.from_env,
    "worker": WorkerSettings.from_env,
    "adapter-wechat": AdapterWechatSettings.from_env,
    "provider-plan": ProviderPlanSettings.from_env,
    "provider-reminder": ProviderReminderSettings.from_env,
}
STRONG = "a-strong-secret-0123456789"
STAGING = {
    "UNIASSIST_ENV": "staging",
    "DATABASE_URL": f"postgresql://me:{STRONG}@db.internal/uniassist",
    "REDIS_URL": f"redis://:{STRONG}@redis.internal:6379/0",
    "UNIASSIST_ADAPTER_SECRET": STRONG,
    "UNIASSIST_ADAPTER_SECRET_PREVIOUS": STRONG,
    "UNIASSIST_PROVIDER_CONTEXT_TOKEN": STRONG,
    "UNIASSIST_PROVIDER_TOKEN_PLAN": STRONG,
    "UNIASSIST_PROVIDER_TOKEN_REMINDER": STRONG,
    "UNIASSIST_PROVIDER_TOKEN_REMINDER_ACCESS": STRONG,
    "UNIASSIST_APP_AUTH": "jwt",
    "UNIASSIST_APP_JWT_KEY": STRONG,
    "UNIASSIST_APP_JWT_KEY_PREVIOUS": STRONG,
    "UNIASSIST_PLAN_PROVIDER_BASE_URL": "http://plan.internal:8890",
    "UNIASSIST_REMINDER_PROVIDER_BASE_URL": "http://reminder.internal:8891",
    "GATEWAY_URL": "http://gateway.internal:8787",
    "WECHAT_APP_ID": "wx0123456789",
    "WECHAT_APP_SECRET": STRONG,
    "WECHAT_TOKEN": "a-token",
    "WECHAT_ENCODING_AES_KEY": STRONG,
}
# Which service reads which secret.
SECRETS = {
    "UNIASSIST_ADAPTER_SECRET": ("gateway", "adapter-wechat"),
    "UNIASSIST_ADAPTER_SECRET_PREVIOUS": ("gateway",),
    "UNIASSIST_PROVIDER_CONTEXT_TOKEN": ("gateway", "adapter-wechat", "provider-plan"),
    "UNIASSIST_PROVIDER_TOKEN_PLAN": ("gateway", "provider-plan"),
    "UNIASSIST_PROVIDER_TOKEN_REMINDER": ("gateway", "provider-reminder"),
    "UNIASSIST_PROVIDER_TOKEN_REMINDER_ACCESS": ("provider-reminder",),
    "UNIASSIST_APP_JWT_KEY": ("gateway",),
    "UNIASSIST_APP_JWT_KEY_PREVIOUS": ("gateway",),
    "WECHAT_APP_SECRET": ("adapter-wechat",),
    "WECHAT_ENCODING_AES_KEY": ("adapter-wechat",),
}
