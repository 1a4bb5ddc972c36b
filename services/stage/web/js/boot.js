// A file that did not come, as when the machine's network changes at that moment, leaves a page without its half. It is loaded anew then, a
// few times. This is no module, so that it is there before them.
"use strict";
{
  const tries = "smaran.tries";
  const most = 3;
  addEventListener(
    "error",
    (e) => {
      if (!(e.target instanceof HTMLScriptElement) && !(e.target instanceof HTMLLinkElement)) return;
      const made = Number(sessionStorage.getItem(tries) ?? 0);
      if (made >= most) return;
      sessionStorage.setItem(tries, String(made + 1));
      setTimeout(() => location.reload(), 500);
    },
    true,
  );
  addEventListener("smaran-ready", () => sessionStorage.removeItem(tries));
}
