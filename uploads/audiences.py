"""From a ready upload to the audience a campaign takes."""

from accounts.models import Account
from smsapp.exceptions import NotFound, UploadInvalid, UploadNotReady
from uploads.choices import UploadStatus
from uploads.models import Audience, Upload


def ready_audience(account: Account, upload_id: str) -> Audience:
    """Raises NotFound, UploadNotReady while it is being read, or UploadInvalid when it could not be."""
    upload = Upload.objects.for_account(account).select_related("audience").filter(upload_id=upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.")
    if upload.status == UploadStatus.FAILED:
        raise UploadInvalid(f"This upload cannot be used: {upload.failure_reason}", "upload_id", upload_id)
    if upload.status != UploadStatus.READY or upload.audience is None:
        raise UploadNotReady("This upload is still being read; try again when it is ready.", status=upload.status)
    return upload.audience
