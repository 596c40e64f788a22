import pytest
from django.utils import translation
from django.utils.translation import trans_real

from campaigns.models import Campaign
from smsapp.core.exceptions import UploadInvalid
from smsapp.lib.sentences import Sentence, read
from tests.support.factories import make_campaign

PAUSED = "Paused by %(by)s."
WORDS = {PAUSED: "Angehalten von %(by)s.", "The file is empty.": "Die Datei ist leer.", "Empty": "Leer"}


@pytest.fixture
def german(monkeypatch):
    """A reader whose language has these translations."""
    catalogue = trans_real.translation("de")
    translate = catalogue.gettext
    monkeypatch.setattr(catalogue, "gettext", lambda text: WORDS.get(text) or translate(text))
    with translation.override("de"):
        yield


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence(PAUSED, by="maria"),
        Sentence("80 % were read."),
        Sentence("%(floor)s %% were asked for.", floor=80),
        Sentence("Says %(who)s", who='a "b"\tc\n{d} %(e)s ü'),
        Sentence(""),
    ],
    ids=str,
)
def test_what_is_stored_is_read_again(sentence):
    assert read(sentence.stored(300)) == sentence
    assert str(read(sentence.stored(300))) == str(sentence)
    assert bool(sentence) == bool(sentence.source)


@pytest.mark.parametrize("text", ["401: wrong key", "a\tb", 'a\t{"b"', 'a %(b)s\t{"c":1}', "a\t[1]", "100 %\t{}"])
def test_any_other_text_stays_as_it_is(text):
    assert str(read(text)) == text


def test_a_parameter_is_cut_where_the_column_ends():
    stored = Sentence(PAUSED, by="x" * 500).stored(60)
    assert len(stored) <= 60
    assert str(read(stored)).startswith("Paused by xxxx")
    assert len(Sentence("y" * 500).stored(60)) == 60
    quoted = Sentence("%(a)s and %(b)s", a='"' * 100, b="é" * 90).stored(120)
    assert len(quoted) <= 120
    assert read(quoted).parameters


def test_the_reader_gets_it_in_their_language_and_programs_in_english(german):
    sentence = Sentence(PAUSED, by="maria")
    assert (str(sentence), sentence.english) == ("Angehalten von maria.", "Paused by maria.")
    assert str(read("The file is empty.")) == "Die Datei ist leer."
    assert str(Sentence("%(count)d rows. %(label)s.", count=2, label="Empty")) == "2 rows. Leer."
    assert UploadInvalid("The file is empty.", "file").message == "Die Datei ist leer."


@pytest.mark.django_db
def test_a_column_gives_sentences_back(german):
    campaign = make_campaign()
    campaign.status_detail = Sentence(PAUSED, by="maria")
    campaign.save()
    found = Campaign.objects.get(pk=campaign.pk)
    assert str(found.status_detail) == "Angehalten von maria."
    assert Campaign.objects.filter(status_detail=Sentence(PAUSED, by="maria")).exists()
    assert list(Campaign.objects.values_list("status_detail", flat=True)) == [found.status_detail]
    Campaign.objects.update(status_detail="")
    assert not Campaign.objects.get().status_detail
