"""Writing systems of texts whose writing system anyone can see."""

import pytest

from solvent import scripts
from solvent.scripts import main_script

TEXTS = {
    "Great food, but 20 minutes late!": "Latin",
    "Größe, naïve, œuvre, Straße": "Latin",
    "ｇｒｅａｔ 𝐟𝐨𝐨𝐝": "Latin",  # other shapes of the same letters
    "这家餐厅的菜很好吃，服务也不错。": "Han",
    "この店の料理はとても美味しい。": "Japanese",
    "東京都庁舎見学記念写真ノ件": "Japanese",  # mostly Han; one kana tells
    "ﾗｰﾒﾝ": "Japanese",
    "スーパーマーケット": "Japanese",
    "음식이 정말 맛있어요": "Hangul",
    "الطعام لذيذ جدا": "Arabic",
    "อาหารอร่อยมาก": "Thai",
    "Еда была очень вкусной": "Cyrillic",
    "खाना बहुत अच्छा था": "Devanagari",
    "האוכל היה טעים": "Hebrew",
    "Το φαγητό ήταν υπέροχο": "Greek",
    "အစားအသောက်ကောင်းတယ်": "Burmese",
    "ອາຫານແຊບຫຼາຍ": "Lao",
    "ម្ហូបឆ្ងាញ់ណាស់": "Khmer",
    "Обожаю iPhone и Google Maps": "Latin",  # 7 Cyrillic letters, 16 Latin ones
    "我喜欢 KFC": "Han",  # three letters of each: the first in the alphabet
    "我很喜欢 KFC": "Han",
    "😀👍🏽🇩🇪": "none",
    "12:30 — 4,5 % !?": "none",
    "ʼ": "none",  # an apostrophe that Unicode calls a letter
    "": "none",
    "  \n": "none",
    "\ud83d": "none",  # half an emoji, as broken exports have it
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_main_script_is_that_of_most_letters(text: str) -> None:
    assert main_script([text]).tolist() == [TEXTS[text]]


@pytest.mark.parametrize("at_once", [1, 300, 1_000_000])
def test_a_text_has_its_script_whatever_stands_beside_it(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "AT_ONCE", at_once)
    assert main_script(list(TEXTS)).tolist() == list(TEXTS.values())
    assert main_script(list(TEXTS)[::-1]).tolist() == list(TEXTS.values())[::-1]


def test_no_texts_have_no_scripts() -> None:
    assert main_script([]).shape == (0,)
