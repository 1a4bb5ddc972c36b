// Package docs holds what the documents say to the repository, in its tests alone: links lead somewhere, quoted manifests are those of
// deploy/, commands are ones that the programs, the Makefile and scripts/ have, and transcripts are run against a real fleet, whose output
// has to be what stands in the document.
//
// A transcript is a code block with prompts: "1$ " starts a fleet in a first shell, which runs until the block ends; "2$ " is a second
// shell, and "$ " the only one. Lines below a command are its output. "…" stands for any text, and alone on a line for any lines. A block
// of the second shell alone goes on with the fleet of the block before it. An order to a stage is carried out before the next command
// is typed, as somebody does who looks at the page.
//
// The talk's pictures, docs/img/stage-*.png, and the recording beside it are made by it too: on a machine that does nothing else,
//
//	UPDATE_STAGE=1 go test ./internal/docs -run TestTranscripts/docs/talk
//
// types it at the addresses that it shows, a moment after each event, and keeps what the page shows then.
//
// It does not judge sentences, and asks no cluster and no web server.
package docs
