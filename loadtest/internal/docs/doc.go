// Package docs holds what the documents say to the repository, in its tests alone: links lead somewhere, quoted manifests are those of
// deploy/, commands are ones that the programs, the Makefile and scripts/ have, and transcripts are run against a real fleet, whose output
// has to be what stands in the document.
//
// A transcript is a code block with prompts: "1$ " starts a fleet in a first shell, which runs until the block ends; "2$ " is a second
// shell, and "$ " the only one. Lines below a command are its output. "…" stands for any text, and alone on a line for any lines. A block
// of the second shell alone goes on with the fleet of the block before it. An order to a stage is carried out before the next command
// is typed, as somebody does who looks at the page.
//
// UPDATE_PICTURES=1 takes the pictures of stages anew that follow such blocks, docs/img/stage-*.png, as the page is then.
//
// It does not judge sentences, and asks no cluster and no web server.
package docs
