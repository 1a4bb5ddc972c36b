// Package browser lets tests drive real browsers, Chromium and Firefox: it starts a headless one, a process of its own for each test, and ends
// it with the test. Of Chromium it keeps what its page wrote to the console, and takes pictures.
//
// In Chromium elements are found and clicked by chromedp, whose context a Browser holds. What a page should do is the tests' business. It is
// apart from package testreal because chromedp, with all of the DevTools protocol, takes long to compile.
package browser
