"""The words of the demo help desk: names, subjects and messages in seven languages, odd texts, small files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

ORGANIZATIONS = (
    "Nordwind Logistik GmbH", "Blue Heron Books", "Sakura Trading K.K.", "Atelier Lumière", "Pão & Café Lda.",
    "Ledger & Quill LLP", "Северный Мост", "شركة النخيل", "Kestrel Robotics", "Öresund Cykel AB",
    "O'Brien & Sons", "Tiny Cloud, Inc.",
)  # fmt: skip
AGENTS = (
    ("Mara Linden", "admin"), ("Tomás Ferreira", "admin"), ("Ines Kühn", "agent"), ("Jonah Adeyemi", "agent"),
    ("佐々木 葵", "agent"), ("Olga Romanova", "agent"), ("Perry Gone", "agent"), ("Permanently Deleted User", "agent"),
)  # fmt: skip
GROUPS = ("Support", "Billing", "Technical Escalation", "Phone & Chat 📞")
FIRST = {
    "en": ("Alice", "Ben", "Chloe", "Dylan", "Emma", "Finn", "Grace", "Harry"),
    "de": ("Jürgen", "Käthe", "Lukas", "Mareike", "Björn", "Sören"),
    "ja": ("陽翔", "結衣", "蓮", "美咲"),
    "ar": ("ليلى", "أحمد", "فاطمة", "يوسف"),
    "ru": ("Иван", "Ольга", "Дмитрий", "Анна"),
    "pt": ("João", "Inês", "Conceição", "Luís"),
    "fr": ("Zoë", "Éloïse", "François", "Maëlle"),
}
LAST = {
    "en": ("O'Neill", "Smith-Jones", "Baker", "van der Berg", "Patel", "Nguyen"),
    "de": ("Müller", "Groß", "Weiß", "Schäfer", "von Ahlen"),
    "ja": ("田中", "鈴木", "髙橋", "渡邊"),
    "ar": ("الهاشمي", "منصور", "حداد"),
    "ru": ("Иванов", "Соколова", "Щербаков"),
    "pt": ("Gonçalves", "Araújo", "Simões"),
    "fr": ("Lefèvre", "D'Aubigné", "Garçon"),
}
LOCALES = {"en": ("en-US", 1), "de": ("de", 8), "ja": ("ja", 67), "ar": ("ar", 66), "ru": ("ru", 27),
           "pt": ("pt-br", 19), "fr": ("fr", 16)}  # fmt: skip
SUBJECTS = {
    "en": ("Cannot log in after the update", "Invoice 2291 is wrong", "Feature request: export to CSV",
           "Where is my order?", "App crashes on start", "Change of address"),
    "de": ("Anmeldung schlägt fehl", "Rechnung fehlt", "Frage zur Lieferzeit", "Gerät überhitzt"),
    "ja": ("ログインできません", "請求書について", "返品したい"),
    "ar": ("لا أستطيع تسجيل الدخول", "سؤال عن الفاتورة"),
    "ru": ("Не приходит письмо", "Ошибка при оплате", "Вопрос о доставке"),
    "pt": ("Não consigo entrar", "Fatura em atraso", "Devolução de produto"),
    "fr": ("Problème de connexion", "Facture erronée", "Où est ma commande ?"),
}  # fmt: skip
BODIES = {
    "en": ("Hello,\nI tried it twice today and it still fails.\n\nKind regards", "Could you please look into this?",
           "Thanks, that solved it!", "It happens only on Mondays & after 5 < 6 retries."),
    "de": ("Guten Tag,\nes geht leider immer noch nicht.\n\nMit freundlichen Grüßen", "Können Sie das bitte prüfen?",
           "Danke, das war's."),
    "ja": ("お世話になっております。\n本日も同じエラーが出ます。\nよろしくお願いいたします。", "ご確認ください。"),
    "ar": ("مرحباً،\nحاولت مرتين اليوم ولم ينجح الأمر.\nشكراً لكم", "هل يمكنكم التحقق من ذلك؟"),
    "ru": ("Здравствуйте!\nСегодня опять та же ошибка.\nС уважением", "Проверьте, пожалуйста."),
    "pt": ("Olá,\ntentei duas vezes e continua a falhar.\nObrigado", "Podem verificar, por favor?"),
    "fr": ("Bonjour,\nj'ai essayé deux fois, sans succès.\nCordialement", "Pouvez-vous vérifier ?"),
}  # fmt: skip
NOTES = (
    "Customer is on the old plan, see CRM.",
    "Escalated to tier 2.",
    "Waiting for billing.",
    "Refund approved by Mara.",
)
TAGS = ("login", "billing", "shipping", "bug", "feature_request", "vip", "returns", "mobile_app", "größe", "日本")

ODD_TEXTS: dict[str, tuple[str, str]] = {
    # what: (plain text, HTML)
    "emoji": ("Great! 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 𝒳", "<p>Great! 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 𝒳</p>"),
    "zero width": (
        "in\u200bvis\u200dible \ufeffmarks \u2028and lines",
        "<p>in\u200bvis\u200dible \ufeffmarks \u2028and lines</p>",
    ),
    "control": (
        "bell \x07 tab \t vertical \x0b escape \x1b[31m",
        "<p>bell \x07 tab \t vertical \x0b escape \x1b[31m</p>",
    ),
    "right to left": (
        "\u202eضع هذا\u202c مع English وسطها 123",
        '<p dir="rtl">\u202eضع هذا\u202c مع English وسطها 123</p>',
    ),
    "broken markup": (
        "unclosed bold, list and table",
        '<p>unclosed <b>bold, <ul><li>list <table><tr><td>and table</p>'
        '<a href="http://x.example/?a=1&b=2>no quote</a> <',
    ),
    "script": (
        "before after",
        '<p>before</p><script>alert("x")</script><p onclick="steal()">after</p><a href="javascript:alert(1)">link</a>',
    ),
    "forty kilobytes": (
        "\n".join(f"log line {line:05d}: nothing to see here" for line in range(1_140)),
        "<pre>" + "\n".join(f"log line {line:05d}: nothing to see here" for line in range(1_140)) + "</pre>",
    ),
    "decomposed": ("re\u0301sume\u0301 and résumé, K and K", "<p>re\u0301sume\u0301 and résumé, K and K</p>"),
}  # fmt: skip
LONG_SUBJECT = ("A very long subject that goes on and on, as customers paste whole messages there. " * 4)[:300]

BIG_BYTES = 21 * 1024 * 1024  # more than the 20 MB that Freshdesk takes in one ticket


def png(red: int, green: int, blue: int, side: int = 16) -> bytes:
    """Return a PNG picture of one colour."""
    rows = b"".join(b"\x00" + bytes((red, green, blue)) * side for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pdf(text: str) -> bytes:
    """Return a PDF of one page that shows ``text`` (ASCII)."""
    page = f"BT /F1 18 Tf 40 100 Td ({text}) Tj ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def big() -> bytes:
    """Return 21 MB, made when asked for."""
    return b"0123456789abcdef" * (BIG_BYTES // 16)


Maker = Callable[[int], tuple[str, str, bytes]]
FILES: tuple[Maker, ...] = (  # each makes (name, content type, bytes) from a number
    lambda n: (f"screenshot-{n}.png", "image/png", png(n % 256, 90, 160)),
    lambda n: (f"log-{n}.txt", "text/plain", "".join(f"{n}:{line} ok\n" for line in range(n % 50 + 1)).encode()),
    lambda n: (f"offer_{n}.pdf", "application/pdf", pdf(f"Offer {n}")),
    lambda n: (f"orders {n}.csv", "text/csv", f"id;betrag\n{n};12,50 €\n".encode("utf-8-sig")),
)
AWKWARD_NAMES = (
    "../../etc/passwd", "résumé 履歴書.pdf", "CON", "a" * 200 + ".txt", 'quote " and & and #?.txt', "no extension",
    "line\u2028separator.txt", ".hidden", "фото (1).PNG", "trailing dot.",
)  # fmt: skip
