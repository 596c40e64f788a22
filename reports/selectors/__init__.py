"""Read shapes for dashboard, console, API and exports. Nothing here scans the message table."""

from reports.selectors.attention import Notice, attention
from reports.selectors.daily import Figures, daily, total
from reports.selectors.messages import MessagePage, MessageRow, message_page
from reports.selectors.progress import Outcome, Progress, campaign_progress
from reports.selectors.timeline import TimelineEntry, message_timeline

__all__ = [
    "Figures",
    "MessagePage",
    "MessageRow",
    "Notice",
    "Outcome",
    "Progress",
    "TimelineEntry",
    "attention",
    "campaign_progress",
    "daily",
    "message_page",
    "message_timeline",
    "total",
]
