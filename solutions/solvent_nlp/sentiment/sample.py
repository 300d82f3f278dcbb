"""Made reviews with a known class, in several languages."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["TONGUES", "reviews", "tongues"]

ROWS = 600
PRAISE = ["lovely", "delicious", "excellent", "fresh", "wonderful", "perfect", "charming", "quick"]
BLAME = ["awful", "stale", "broken", "bland", "terrible", "late", "bitter", "disappointing"]
THINGS = ["tea", "coffee", "parcel", "chocolate", "service", "soup", "bread", "price", "box", "sauce"]
REST = ["the", "my", "this", "we had", "again", "on monday", "from the shop", "for my family", "in the end", "really"]


def reviews(seed: int) -> Sample:
    """Made reviews: three words of opinion each, a fifth of which go against the label."""
    random = np.random.default_rng(seed)
    label = np.where(random.random(ROWS) < 0.5, "praise", "blame")
    texts = []
    for number, name in enumerate(label):
        own, other = (PRAISE, BLAME) if name == "praise" else (BLAME, PRAISE)
        words = [random.choice(other if random.random() < 0.2 else own) for _ in range(3)]
        parts = [f"{random.choice(REST)} {random.choice(THINGS)} {word}" for word in words]
        texts.append(f"{', '.join(parts)}. Order {number}.")
    return Sample(
        rows=pd.DataFrame({"review": texts, "opinion": label}),
        columns={"text": "review", "label": "opinion"},
        settings={
            "ngrams": {"most": 4096},
            "dropout": [0.2],
            "training": {"epochs": 12, "patience": 4, "batch_size": 32, "learning_rate": 0.02},
        },
        floor=0.75,
    )


@dataclass(frozen=True)
class Tongue:
    """What is said in a language: `negation` turns the opinion behind it round, `gap` parts words, `comma` opinions."""

    praise: list[str]
    blame: list[str]
    things: list[str]
    rest: list[str]
    negation: str
    gap: str
    comma: str


TONGUES = {
    "english": Tongue(PRAISE, BLAME, THINGS, REST, negation="not ", gap=" ", comma=", "),
    "chinese": Tongue(
        praise=["好吃", "新鲜", "美味", "完美", "漂亮", "满意", "精致", "快"],
        blame=["难吃", "糟糕", "失望", "苦", "慢", "贵", "破", "臭"],
        things=["茶", "咖啡", "包裹", "巧克力", "服务", "汤", "面包", "价格", "盒子", "酱料"],
        rest=["今天", "我们的", "这次", "再说一遍", "星期一", "店里的", "给家人的", "最后", "其实", "网上买的"],
        negation="不",
        gap="",
        comma="，",
    ),
    "arabic": Tongue(
        praise=["لذيذ", "رائع", "ممتاز", "طازج", "جميل", "مثالي", "سريع", "مريح"],
        blame=["سيئ", "فاسد", "مكسور", "رديء", "مر", "بطيء", "بارد", "محبط"],
        things=["الشاي", "القهوة", "الطرد", "الشوكولاتة", "الخدمة", "الحساء", "الخبز", "السعر", "العلبة", "الصلصة"],
        rest=["في النهاية", "مرة أخرى", "من المتجر", "لعائلتي", "يوم الاثنين", "حقا", "اليوم", "هذه المرة"],
        negation="غير ",
        gap=" ",
        comma="، ",
    ),
    "thai": Tongue(
        praise=["อร่อย", "สด", "สวย", "เยี่ยม", "ประทับใจ", "เร็ว", "หอม", "คุ้ม"],
        blame=["แย่", "เสีย", "ขม", "ช้า", "แพง", "จืด", "เน่า", "พัง"],
        things=["ชา", "กาแฟ", "พัสดุ", "ช็อกโกแลต", "บริการ", "ซุป", "ขนมปัง", "ราคา", "กล่อง", "ซอส"],
        rest=["วันนี้", "ในที่สุด", "อีกครั้ง", "จากร้าน", "ให้ครอบครัว", "จริงๆ", "วันจันทร์", "ที่บ้าน"],
        negation="ไม่",
        gap="",
        comma=" ",
    ),
}
EMOJI = {"praise": ["😍", "👍🏽", "🎉"], "blame": ["😡", "👎", "🤮"]}
REMAINS = ["<br />", "<p>", "</b> ", "&nbsp;", " &amp; ", "\n\n", " "]
ALMOST_BLANK = ["…", "!!!", "🙂", "<br /><br />", "\u200b"]


def tongues(seed: int, language: str) -> pd.DataFrame:
    """Made reviews in another language, columns `review` and `opinion`: five opinions each, a fifth of which go
    against the label; a fifth of them are told by turning their opposite round ("not good").

    Args:
        language: one of `TONGUES`, or "mixed": eight opinions in several of them, with emoji and remains of HTML; one
            text in twenty is very long, one in fifty says nothing.
    """
    random = np.random.default_rng(seed)
    label = np.where(random.random(ROWS) < 0.5, "praise", "blame")
    if language == "mixed":
        texts = [_mixed(name, random) for name in label]
    else:
        tongue = TONGUES[language]
        texts = [tongue.comma.join(_opinion(tongue, name, random) for _ in range(5)) for name in label]
    return pd.DataFrame({"review": texts, "opinion": label})


def _mixed(label: str, random: np.random.Generator) -> str:
    if random.random() < 1 / 50:
        return random.choice(ALMOST_BLANK)
    parts = [_opinion(TONGUES[name], label, random) for name in random.choice(list(TONGUES), 8)]
    if random.random() < 1 / 2:
        parts.append(random.choice(EMOJI[_meant(label, random)]))
    if random.random() < 1 / 20:
        others = [TONGUES[name] for name in random.choice(list(TONGUES), 300)]
        parts[1:1] = [f"{random.choice(tongue.rest)}{tongue.gap}{random.choice(tongue.things)}" for tongue in others]
    return "".join(part + random.choice(REMAINS) for part in parts)


def _opinion(tongue: Tongue, label: str, random: np.random.Generator) -> str:
    turned = random.random() < 0.2
    word = random.choice(tongue.praise if (_meant(label, random) == "praise") != turned else tongue.blame)
    words = [random.choice(tongue.rest), random.choice(tongue.things), f"{tongue.negation if turned else ''}{word}"]
    return tongue.gap.join(words)


def _meant(label: str, random: np.random.Generator) -> str:
    """One opinion in five goes against the label."""
    return label if random.random() >= 0.2 else {"praise": "blame", "blame": "praise"}[label]
