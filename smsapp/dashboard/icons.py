"""The icons of the dashboard: the few of Font Awesome that are used, in one small file instead of a font."""

#: Built into static/vendor/icons.svg by `manage.py assets`.
ICONS = (
    "address-book", "arrow-down", "arrow-up", "ban", "bars", "bell", "bullhorn", "chart-column", "check",
    "chevron-left", "chevron-right", "circle-half-stroke", "circle-user", "code", "comment-sms", "copy", "desktop",
    "download", "file-arrow-up", "file-lines", "flask", "gauge-high", "hand", "id-badge", "inbox", "key", "layer-group",
    "lock", "magnifying-glass", "moon", "paper-plane", "paste", "pause", "play", "plus", "repeat", "rotate-left",
    "rotate-right", "sliders", "sun", "trash", "user-check", "user-minus", "users", "wallet",
)  # fmt: skip
