"""Read shapes for dashboard, console, API and exports. Nothing here scans the message table."""

from reports.selectors.advice import advice
from reports.selectors.attention import Notice, attention
from reports.selectors.daily import Figures, daily, messages_by_country, shares, total
from reports.selectors.insight import compared, countries, failures, history
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
    "advice",
    "attention",
    "campaign_progress",
    "compared",
    "countries",
    "daily",
    "failures",
    "history",
    "message_page",
    "message_timeline",
    "messages_by_country",
    "shares",
    "total",
]
