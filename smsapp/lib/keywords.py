"""Opt-out and opt-in keywords in replies.

The English words come from the CTIA and from Twilio's default list; the others are what people write in each language.
Case, accents and punctuation do not matter. A reply matches if it is exactly one of the words, or if it is short and
begins with an unmistakable one: "Stop please" matches, "stop by on your way home tonight" does not.
"""

import re
import unicodedata
from enum import StrEnum

MAX_WORDS = 3  # longest reply that an unmistakable first word decides


class Keyword(StrEnum):
    STOP = "stop"
    START = "start"


#: Nobody begins an ordinary reply with these.
UNMISTAKABLE = frozenset({"stop", "stopall", "unsubscribe", "optout", "stopp", "abmelden", "afmelden", "desabonner"})

STOP_WORDS: dict[str, tuple[str, ...]] = {
    "en": ("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"),
    "de": ("STOPP", "ABMELDEN", "ABBESTELLEN", "KEINE SMS", "AUSTRAGEN"),
    "fr": ("ARRET", "ARRÊT", "ARRETER", "ARRÊTER", "DESABONNER", "DÉSABONNER", "DESINSCRIRE"),
    "es": ("ALTO", "BAJA", "PARAR", "CANCELAR", "DETENER"),
    "pt": ("PARAR", "SAIR", "CANCELAR", "REMOVER"),
    "it": ("ANNULLA", "CANCELLA", "CANCELLAMI", "FERMA"),
    "nl": ("AFMELDEN", "STOPPEN", "UITSCHRIJVEN"),
    "pl": ("REZYGNUJE", "REZYGNUJĘ", "WYPISZ"),
    "tr": ("DUR", "IPTAL", "İPTAL", "RET", "RED"),
    "sv": ("STOPPA", "AVSLUTA", "AVREGISTRERA"),
    "da": ("AFMELD", "FRAMELD"),
    "nb": ("AVMELD", "AVSLUTT"),
    "fi": ("LOPETA", "PERU", "POISTA"),
    "cs": ("KONEC", "ODHLASIT", "ODHLÁSIT"),
    "hu": ("LEMONDAS", "LEMONDÁS", "LEIRATKOZAS", "LEIRATKOZÁS"),
    "ro": ("RENUNT", "RENUNȚ", "DEZABONARE"),
    "el": ("ΣΤΟΠ", "ΔΙΑΓΡΑΦΗ"),
    "ru": ("СТОП", "ОТПИСАТЬСЯ", "ОТПИСКА"),
    "uk": ("СТОП", "ВІДПИСАТИСЯ"),
    "ar": ("توقف", "إيقاف", "ايقاف", "الغاء", "إلغاء", "قف"),
    "he": ("הסר", "הסרה", "עצור"),
    "hi": ("रोकें", "रोको", "बंद"),
    "id": ("BERHENTI",),
    "vi": ("HUY", "HỦY", "DUNG", "DỪNG", "TUCHOI"),
    "th": ("หยุด", "ยกเลิก"),
    "zh": ("停止", "退订", "退訂", "取消"),
    "ja": ("停止", "解除", "配信停止"),
    "ko": ("수신거부", "중지", "정지"),
}
START_WORDS: dict[str, tuple[str, ...]] = {
    "en": ("START", "UNSTOP", "SUBSCRIBE", "OPTIN", "OPT IN"),
    "de": ("ANMELDEN", "STARTEN"),
    "fr": ("REPRENDRE", "ABONNER"),
    "es": ("INICIAR", "ALTA", "COMENZAR"),
    "pt": ("INICIAR", "COMECAR", "COMEÇAR"),
    "it": ("INIZIA", "ATTIVA"),
    "nl": ("AANMELDEN",),
    "ru": ("СТАРТ", "ПОДПИСАТЬСЯ"),
    "ar": ("ابدأ", "اشتراك"),
    "zh": ("开始", "開始", "订阅"),
    "ja": ("開始", "再開"),
}
_NOT_WORDS = re.compile(r"[^\w\s]+", re.UNICODE)


def keyword_of(text: str) -> Keyword | None:
    """Return the keyword of a reply; None if it is an ordinary reply."""
    plain = _plain(text)
    if plain in _STOP:
        return Keyword.STOP
    if plain in _START:
        return Keyword.START
    words = plain.split()
    return Keyword.STOP if words and words[0] in UNMISTAKABLE and len(words) <= MAX_WORDS else None


def _plain(text: str) -> str:
    """Return a text in lower case without accents, punctuation and repeated spaces.

    Only the accents of the Latin alphabet are removed: in other scripts a mark is part of the letter.
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(character for character in folded if not "\u0300" <= character <= "\u036f")
    return " ".join(_NOT_WORDS.sub(" ", unicodedata.normalize("NFC", kept)).split())


_STOP = frozenset(_plain(word) for words in STOP_WORDS.values() for word in words)
_START = frozenset(_plain(word) for words in START_WORDS.values() for word in words)
