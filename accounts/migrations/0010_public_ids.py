from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import accounts.models.people


def name_all(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """A default is worked out once for all rows, and each needs its own."""
    model = apps.get_model("accounts", "Account")
    for account in model.objects.filter(public_id=None).iterator():
        account.public_id = accounts.models.people.new_public_id()
        account.save(update_fields=["public_id"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_invitation_age"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="public_id",
            field=models.CharField(editable=False, max_length=16, null=True),
        ),
        migrations.RunPython(name_all, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="account",
            name="public_id",
            field=models.CharField(
                default=accounts.models.people.new_public_id,
                editable=False,
                help_text="Names it in addresses of the dashboard and in the API.",
                max_length=16,
                unique=True,
            ),
        ),
    ]
