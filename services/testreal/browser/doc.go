// Package browser lets tests drive a real Chromium: it starts a headless one, a process of its own for each test, keeps what its page wrote to
// the console, takes pictures, and ends it with the test.
//
// It finds elements and clicks them by chromedp, whose context a Browser holds. What a page should do is the tests' business. It is apart from
// package testreal because chromedp, with all of the DevTools protocol, takes long to compile.
package browser
