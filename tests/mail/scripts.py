"""Random text in twelve scripts, for headers and display names."""

import random

ALPHABETS = {
    "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗ№«»—",
    "ko": "가나다라마바사아자차카타파하주문이발송되었습니다한국어",
    "el": "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώΑΒΓΔ",
    "pl": "aąbcćdeęfghijklłmnńoóprsśtuwyzźżŁŚŻ",
    "fr": "abcdefghijlmnopqrstuvxyzàâçéèêëîïôûùüœÉÀ’",
    "ja": "あいうえおかきくけこさしすせそアイウエオ注文発送日本語漢字、。",
    "zh": "的一是在不了有和人这中大为上个国我以要他时来用们𠮷㐂，。",
    "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي،؟",
    "he": "אבגדהוזחטיכלמנסעפצקרשתםןףץך",
    "hi": "कखगघचछजझटठडढतथदधनपफबभमयरलवशषसहािीुूेैोौं्",
    "th": "กขคงจฉชซญดตถทธนบปผพฟภมยรลวศสหอะาิีึืุูเแโใไ่้๊๋",
    "emoji": ["👩‍👩‍👧‍👦", "🏳️‍🌈", "🇺🇦", "👍🏽", "❤️", "🧑🏿‍💻", "1️⃣", "🚀", "é", "ñ"],
}
ASCII = "abcdefghijklmnopqrstuvwxyzABC0123456789.,:;!?()<>@#$%&*+-/=_'\"\\[]{}|~^`"


def write_random(dice: random.Random, script: str, longest: int = 40) -> str:
    """Return words of a script with some of ASCII between, single spaces between them."""
    words = []
    for _ in range(dice.randint(1, 12)):
        letters = ASCII if dice.random() < 0.25 else ALPHABETS[script]
        words.append("".join(dice.choice(letters) for _ in range(dice.randint(1, dice.choice([3, 8, longest])))))
    return " ".join(words)[:400]
