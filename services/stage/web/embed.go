// Package web holds the page: its files as they are served, and nothing that serves them.
package web

import "embed"

// Files are index.html, which is the page, and what it loads from css, js and vendor.
//
//go:embed index.html css js vendor
var Files embed.FS
