"""Sample failure texts as real test runs print them, some of them hostile."""

from __future__ import annotations

from random import Random

SampleFailure = tuple[str, str]
"""Status and text."""

ASSERTION = """AssertionError: order total is wrong after the voucher was removed

  expected: {'total': '42.50', 'currency': 'EUR', 'discount': '0.00'}
  actual:   {'total': '38.25', 'currency': 'EUR', 'discount': '4.25'}
                       ^^^^^                                 ^^^^
  at checkout/tests/cart_test.py:118 in test_voucher_can_be_removed"""

BAD_GATEWAY = """HTTP 502 from POST https://staging.shop.example/api/v2/payments/authorize
content-type: application/json
x-trace: 7f3a19c2e4

{"error": {"code": "upstream_unavailable", "message": "payment-gateway: connection refused (10.4.2.17:8443)"}}"""

TIMEOUT = """TimeoutError: waited 30000 ms for locator "button[data-test=place-order]" to be enabled
    at Locator.click (node_modules/playwright-core/lib/client/locator.js:98:14)
    at CheckoutPage.placeOrder (tests/pages/checkout.page.ts:57:31)
    at tests/checkout/guest.spec.ts:41:20
    at runTest (node_modules/@playwright/test/lib/worker/runner.js:311:9)"""

SCREENSHOT = """Expected the heading "Thank you for your order" but saw "Something went wrong".

Screenshot: https://console.zof.ai/artifacts/8f21c0/step-14.png
Console log: https://console.zof.ai/artifacts/8f21c0/console.txt"""

RANKING = """AssertionError: top result for "running shoes" changed
- 1. Trail Runner GTX (score 0.91)
+ 1. Gift card (score 0.93)
  2. Road Racer 4 (score 0.88)
ndcg@10 0.71 is below the threshold of 0.80"""

LEAK = (
    "401 from GET https://staging.shop.example/api/me <!channel> <@U0ANA> & <b>retry</b>\n"
    "> Authorization: Bearer sk-live-FAKE0000000000000000planted\n"
    "> Cookie: session=FAKE-planted-cookie; path=/\n"
    "\u202etxt.daolyap\u202c \u2066hidden\u2069 \x1b[31mred\x1b[0m\n"
    "see http://deploy:FAKE-planted-password@staging.shop.example/"
)
"""Contains a fake secret, mentions and control characters; none of them may reach a reader."""

STALE: SampleFailure = "failed", "AssertionError: fixture 'catalogue_2024' has no product 'Road Racer 4'"
"""A failure that is not the product's fault, in whatever case it is seen."""

RUN_EXTRAS = {
    "git": {"commit": "9f2c41d7a0b35e88c1d2f3a4b5c6d7e8f9a0b1c2", "branch": "feature/vouchers"},
    "author_email": "ben@acme.example",
    "pull_request_url": "https://console.zof.ai/pulls/318",
}
RESULT_EXTRAS = {
    "screenshot_url": "https://console.zof.ai/artifacts/8f21c0/step-14.png",
    "video_url": "https://console.zof.ai/artifacts/8f21c0/video.webm",
    "step": "Remove the voucher",
    "expected": "42.50 EUR",
    "actual": "38.25 EUR",
    "owner": "checkout-team",
    "tags": ["smoke", "checkout"],
}
"""Extra fields: Zof documents none of these names."""

_PRODUCT_TEXTS = (
    ASSERTION,
    SCREENSHOT,
    RANKING,
    "AssertionError: expected 3 items in the cart, found 2",
    "AssertionError: filter 'in stock' still lists 'Road Racer 4' (stock: 0)",
    'Expected status 201, got 422: {"errors": [{"field": "postcode", "message": "is not valid for DE"}]}',
)
_PLATFORM_TEXTS = (
    BAD_GATEWAY,
    TIMEOUT,
    "ECONNRESET: socket hang up while reading https://staging.shop.example/api/v2/search?q=shoes",
    "Browser context was closed unexpectedly: the runner ran out of memory (OOMKilled, 2048 MiB)",
)


def random_failure(random: Random) -> SampleFailure:
    """Return a random failure of the product (mostly) or of the platform."""
    return product_failure(random) if random.random() < 0.7 else platform_failure(random)


def product_failure(random: Random) -> SampleFailure:
    """Return a failed assertion of a test."""
    return "failed", random.choice(_PRODUCT_TEXTS)


def platform_failure(random: Random) -> SampleFailure:
    """Return an error that prevented a test from running."""
    return "error", random.choice(_PLATFORM_TEXTS)


def disabled_button(number: int) -> SampleFailure:
    """Return one of many failures with the same cause: only its numbers differ."""
    return "failed", TIMEOUT.replace("30000", str(30_000 + number)).replace(":41:", f":{41 + number}:")


def lost_gateway(number: int) -> SampleFailure:
    """Return one of many errors with the same cause: only its trace and address differ."""
    trace, host = f"{0x7F3A19C2E4 + number:x}", f"10.4.2.{number % 250}"
    return "error", BAD_GATEWAY.replace("7f3a19c2e4", trace).replace("10.4.2.17", host)
