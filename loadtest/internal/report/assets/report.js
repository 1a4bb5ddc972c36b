(function () {
  "use strict";
  var root = document.documentElement;

  // Theme: the system's, or the reader's choice for a projector.
  var theme = document.getElementById("theme"), themes = ["system", "light", "dark"], at = 0;
  theme.hidden = false;
  theme.addEventListener("click", function () {
    at = (at + 1) % themes.length;
    root.style.colorScheme = at === 0 ? "" : themes[at];
    theme.textContent = "Theme: " + themes[at];
  });

  // Filters hide rows and panels; without a script everything shows.
  function filter(id, attribute) {
    var box = document.getElementById(id);
    if (!box) return;
    box.hidden = false;
    box.addEventListener("change", function () {
      var shown = {};
      box.querySelectorAll("input").forEach(function (i) { shown[i.value] = i.checked; });
      document.querySelectorAll("[" + attribute + "]").forEach(function (e) {
        e.hidden = shown[e.getAttribute(attribute)] === false;
      });
    });
  }
  filter("filter", "data-backend");
  filter("verdicts", "data-verdict");

  // Tips: the SVG's own titles, shown at once.
  var tip = document.getElementById("tip");
  document.addEventListener("pointerover", function (e) {
    var mark = e.target.closest && e.target.closest("svg rect, svg circle, svg line");
    var title = mark && mark.querySelector("title");
    tip.hidden = !title;
    if (title) tip.textContent = title.textContent;
  });
  document.addEventListener("pointermove", function (e) {
    if (tip.hidden) return;
    var x = Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    var y = e.clientY + 18 + tip.offsetHeight > window.innerHeight ? e.clientY - tip.offsetHeight - 10 : e.clientY + 18;
    tip.style.transform = "translate(" + Math.max(x, 4) + "px," + y + "px)";
  });
})();
