"""Six digits that confirm an address. Made anew from the channel's nonce each time, so they stand nowhere."""

import hashlib
import hmac

from django.conf import settings

from apps.notifications.models import Channel


def code_of(channel: Channel) -> str:
    text = f"channel code {channel.id} {channel.code_nonce}"
    digest = hmac.digest(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"
