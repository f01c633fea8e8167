"""The sandbox's HTML: plain, made for a phone, without scripts or assets from elsewhere."""

import time
from typing import Any

from markupsafe import Markup
from werkzeug.wrappers import Response

from .state import Doc

_LAYOUT = Markup(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #f3f5f8; margin: 0; padding: 1rem; }}
main {{ max-width: {width}; margin: 1rem auto; background: #fff; border: 1px solid #dce1e8; border-radius: 12px;
  padding: 1.25rem; overflow-x: auto; }}
h1 {{ font-size: 1.15rem; margin: 0 0 .75rem; }} h2 {{ font-size: 1rem; margin: 1.5rem 0 .5rem; }}
.amount {{ font-size: 2rem; font-weight: 650; margin: 0; }} .quiet {{ color: #5a6675; font-size: .875rem; }}
button {{ font: inherit; width: 100%; min-height: 48px; margin: .25rem 0; border-radius: 8px; cursor: pointer;
  border: 1px solid #b9c2ce; background: #fff; color: inherit; }}
button.first {{ background: #1f5fd0; border-color: #1f5fd0; color: #fff; font-weight: 600; }}
button:focus-visible, a:focus-visible, input:focus-visible, select:focus-visible {{ outline: 3px solid #7fb0ff; }}
label {{ display: flex; justify-content: space-between; align-items: center; gap: 1rem; margin: .5rem 0; }}
input, select {{ font: inherit; min-height: 40px; padding: 0 .5rem; max-width: 9rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .875rem; }} code {{ overflow-wrap: anywhere; }}
td, th {{ text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #e8ebf0; vertical-align: top; }}
</style></head><body><main>{content}</main></body></html>"""
)
_BUTTONS = (
    ("pay", "Pay", "first"),
    ("decline", "Decline", ""),
    ("late", "Pay late", ""),
    ("twice", "Send twice", ""),
    ("reorder", "Reorder", ""),
    ("wrong_amount", "Wrong amount", ""),
)


def html(title: str, content: Markup, status: int = 200, width: str = "26rem") -> Response:
    return Response(_LAYOUT.format(title=title, content=content, width=width), status, mimetype="text/html")


def message(title: str, text: str, link: str | None, status: int) -> Response:
    """One sentence and, where there is one, a way back."""
    content = Markup("<h1>{}</h1><p>{}</p>").format(title, text)
    return html(title, content + _link(link), status)


def money(amount: int, currency: str) -> str:
    symbol = {"USD": "$", "INR": "₹"}.get(currency.upper(), currency.upper() + " ")
    return f"{symbol}{amount / 100:,.2f}"


def checkout(processor: str, view: Doc) -> Response:
    """The page where a parent pays; what else may happen to a payment has a button of its own."""
    content = Markup('<p class="quiet">{} sandbox: no money moves</p><h1>{}</h1><p class="amount">{}</p>').format(
        processor.title(), view["description"], money(view["amount"], view["currency"])
    )
    delay = 0
    if view["expires_at"]:
        delay = max(0, int(view["expires_at"] - time.time()) + 1)
        content += Markup('<p class="quiet">Open for {} more minutes</p>').format(delay // 60)
    buttons = Markup("").join(
        Markup('<button name="action" value="{}" class="{}">{}</button>').format(value, style, text)
        for value, text, style in _BUTTONS
    )
    method = Markup("")
    if processor == "razorpay":
        method = Markup(
            '<label>Method <select name="method"><option value="upi">UPI</option>'
            '<option value="card">Card</option></select></label>'
        )
    content += Markup(
        '<form method="post">{}{}<label>Pay late after seconds '
        '<input name="delay" type="number" min="0" step="any" value="{}"></label></form>'
    ).format(method, buttons, delay)
    return html("Pay " + money(view["amount"], view["currency"]), content + _link(view["cancel_url"]))


def handler(view: Doc, response: Doc, link: str) -> Response:
    """What Razorpay's checkout would hand to the calling page."""
    rows = Markup("").join(Markup("<p><b>{}</b><br><code>{}</code></p>").format(*field) for field in response.items())
    title = f"Paid {money(view['amount'], view['currency'])}"
    return html(title, Markup("<h1>{}</h1>").format(title) + rows + _link(link))


def index(sections: list[tuple[str, list[str], list[list[Any]]]]) -> Response:
    """Tables of all that the sandbox knows; a cell that is a pair is a link and its text."""
    content = Markup("<h1>Juniro sandbox</h1>")
    content += Markup(
        '<p class="quiet">Stands in for Supabase Auth, Stripe and Razorpay on this machine. '
        'See also <a href="/deliveries">deliveries</a> and <a href="/faults">faults</a>.</p>'
    )
    for title, heads, rows in sections:
        head = Markup("").join(Markup("<th>{}</th>").format(text) for text in heads)
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(_cell(cell)) for cell in row))
            for row in rows
        )
        content += Markup("<h2>{}</h2><table><tr>{}</tr>{}</table>").format(title, head, body)
    return html("Juniro sandbox", content, width="64rem")


def _cell(cell: Any) -> Any:
    return Markup('<a href="{}">{}</a>').format(*cell) if isinstance(cell, tuple) else cell


def _link(url: str | None) -> Markup:
    return Markup('<p><a href="{}">Back to Juniro</a></p>').format(url) if url else Markup("")
