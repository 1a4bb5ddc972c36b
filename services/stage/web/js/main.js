// main.js starts the page.
