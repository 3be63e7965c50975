"""What made-up people are called and say, in many scripts, ready for JSON.

Invisible characters are written as escapes; the rest is meant to be looked at.
"""
# ruff: noqa: RUF001, E501 - look-alike letters are the point here, and wide scripts count double

import json

FIRST_NAMES = (
    "Anna", "Jürgen", "Zoë", "Łukasz", "Søren", "Çağla", "Ólöf", "Ngọc", "Siobhán", "Mihály",
    "محمد", "ليلى", "נועה", "יוסף", "अनन्या", "विक्रम", "王芳", "伟", "さくら", "健太", "민준", "서연",
    "Ольга", "Дмитро", "Ελένη", "ნინო", "Արամ", "สมชาย", "O'Neil", "Jean-Luc", "Zoe\u0308", "D\u2019Arcy",
)  # fmt: skip
LAST_NAMES = (
    "Schmidt", "Groß-Müller", "Nguyễn", "Dvořák", "Þórsdóttir", "Yılmaz", "Ibáñez", "van der Meer",
    "الحداد", "منصور", "כהן", "לוי", "शर्मा", "पटेल", "李", "陈", "田中", "佐藤", "김", "박",
    "Иванова", "Шевченко", "Παππάς", "ბერიძე", "Սարգսյան", "ใจดี", "O\u2019Brien", "Smith \"Smitty\"",
    "de la Cruz", "Mc\\Donald", "A\u030Angstro\u0308m", "Lee 🦊",
)  # fmt: skip
REQUESTS = (
    "Invoice #1234", "Frage zur Rechnung", "Termin verschieben", "موعد جديد", "ביטול הזמנה", "डिलीवरी की स्थिति",
    "查询订单", "配送日の変更", "환불 요청", "Вопрос по тарифу", "Réclamation « colis »", "Password \\ PIN reset",
    "Ώρες λειτουργίας", "Opening hours?", "Zusage\tper E-Mail", "👩🏽\u200d🔧 repair",
)  # fmt: skip
SUMMARIES = (
    "The caller asked about an invoice; the agent explained the second line and offered a copy.",
    "Kundin möchte den Termin auf Donnerstag verschieben. Rückruf an „Büro“ vereinbart – größere Küche.",
    "اتصل العميل لتغيير موعد التسليم، وتم تأكيد الموعد الجديد يوم الأحد.",
    "הלקוחה ביקשה לבטל את ההזמנה וקיבלה אישור במייל.",
    "ग्राहक ने डिलीवरी की तारीख पूछी; एजेंट ने कल शाम तक का समय बताया।",
    "客户询问订单状态，客服确认明天送达，客户表示满意。",
    "お客様は配送日の変更を希望され、金曜日の午前に変更しました。",
    "고객이 환불을 요청했고 상담원이 사흘 안에 처리된다고 안내했습니다.",
    "Клиент уточнил тариф и попросил перезвонить после обеда.",
    "Appelante mécontente : « le colis n\u2019est jamais arrivé ». Geste commercial proposé.",
    "Caller said \"call me at C:\\temp\\phone\" and hung up.\nSecond line.\r\n\tThird, indented.",
    "Family 👨\u200d👩\u200d👧\u200d👦 plan, flag 🏳️\u200d🌈, thumbs 👍🏿, maths 𝒳𝟙, Gothic 𐌰𐌱, old Han 𠀋.",
    "Line\u2028separator and paragraph\u2029separator, bell\u0007, backspace\b, form feed\f, del\u007f, nul\u0000.",
    "Combining: e\u0301 a\u0308 n\u0303 Z\u0351\u036b\u0343a\u0308l\u0300go; no-break\u00a0space; soft\u00adhyphen; BOM\ufeff.",
    "Mixed: שלום and مرحبا, marks \u200f\u200e\u202aLTR\u202c, isolate \u2066x\u2069.",
    "</script><b>&amp;</b> {\"json\": [1, 2, null]} %s %d ${HOME} {{mustache}} ; DROP TABLE calls; --",
)  # fmt: skip
LINES = (
    ("agent", "Good morning, how can I help you today?"),
    ("user", "Hi, I would like to move my appointment, please."),
    ("agent", "Guten Tag, hier ist die Terminvergabe – was kann ich für Sie tun?"),
    ("user", "Schönen guten Tag, größere Störung: das Gerät läuft nicht."),
    ("agent", "أهلاً وسهلاً، كيف يمكنني مساعدتك؟"),
    ("user", "أريد تغيير موعد التسليم إلى يوم الأحد."),
    ("agent", "שלום, איך אפשר לעזור?"),
    ("user", "אני רוצה לבטל את ההזמנה, בבקשה."),
    ("agent", "नमस्ते, मैं आपकी क्या मदद कर सकता हूँ?"),
    ("user", "मेरा पार्सल अभी तक नहीं आया।"),
    ("agent", "您好，请问有什么可以帮您？"),
    ("user", "我想查一下订单到哪里了。"),
    ("agent", "お電話ありがとうございます。ご用件を伺います。"),
    ("user", "配送日を金曜日に変更したいのですが。"),
    ("agent", "안녕하세요, 무엇을 도와드릴까요?"),
    ("user", "환불은 언제 되나요?"),
    ("agent", "Здравствуйте, чем могу помочь?"),
    ("user", "Подскажите, пожалуйста, какой у меня тариф?"),
    ("agent", "Let me check that for you. One moment…"),
    ("user", "Sure 🙂 take your time \"no rush\"."),
    ("agent", "It is in the folder C:\\invoices\\2026, line 3.\nShall I send it?"),
    ("user", "Yes: maria@example.com – or zoë@example.org."),
    ("agent", "Done ✅. Is there anything else? 👩🏽\u200d💻"),
    ("user", "No, thank you.\u2028Bye! 👋🏼"),
    ("agent", "Could you repeat the last four digits?"),
    ("user", "Zero\tone, zero, nine. I mean: 0\u202f1\u202f0\u202f9."),
    ("agent", "Merci d\u2019avoir patienté, j\u2019ai votre dossier sous les yeux."),
    ("user", "Ça fait déjà trois fois que j\u2019appelle…"),
    ("agent", "Σας ευχαριστώ για την υπομονή σας."),
    ("user", "e\u0301 or é, it is the same to me."),
    ("agent", "I have noted: 𝟙𝟚 pieces, 𠀋 included."),
    ("user", ""),
)  # fmt: skip
NOTES = (
    "Rückruf am Donnerstag", "called back twice", "VIP 🌟", "нет ответа", "再送済み", "see \"ticket\" #77",
    "لا يتكلم الإنجليزية", "line one\nline two",
)  # fmt: skip
AGENT_NAMES = (
    "Reception", "Sales Agent", "Support Agent", "Terminvergabe Büro", "مساعد المبيعات", "סוכן תמיכה",
    "सहायता एजेंट", "客服助手", "予約受付", "상담원", "Служба поддержки", "Outreach 🚀",
)  # fmt: skip
CAMPAIGNS = (
    "January Outreach", "Frühjahrsaktion", "続けて割引", "Winback \"Q1\"", "حملة الربيع", "Опрос клиентов",
    "Recall 🔔", "Renewals",
)  # fmt: skip


def quoted(text: str, place: int) -> str:
    """Write a text as a JSON string; every fifth in ASCII only, every seventh with its `/` escaped.

    Both are the same text to a reader, and both are what real servers send.
    """
    if place % 5 == 4:
        return json.dumps(text)
    plain = json.dumps(text, ensure_ascii=False)
    return plain.replace("/", "\\/") if place % 7 == 6 else plain


def quoted_all(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Write texts as JSON strings."""
    return tuple(quoted(text, place) for place, text in enumerate(texts))


def open_ended(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Write texts as JSON strings that still lack the closing quote, so that a number can follow."""
    return tuple(text[:-1] for text in quoted_all(texts))
