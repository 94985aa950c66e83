"""Settings: one table of variables, one strict reader, one dataclass for each service."""

from uniassist.settings.masking import mask_url
from uniassist.settings.reader import Reader, Secret, is_placeholder
from uniassist.settings.services import (
    AdapterWechatSettings,
    GatewaySettings,
    OutboxSettings,
    ProviderPlanSettings,
    ProviderReminderSettings,
    ServiceSettings,
    StreamSettings,
    WechatAccountSettings,
    WorkerSettings,
)

__all__ = [
    "AdapterWechatSettings",
    "GatewaySettings",
    "OutboxSettings",
    "ProviderPlanSettings",
    "ProviderReminderSettings",
    "Reader",
    "Secret",
    "ServiceSettings",
    "StreamSettings",
    "WechatAccountSettings",
    "WorkerSettings",
    "is_placeholder",
    "mask_url",
]
