// Package recording keeps what a stage showed in a file, and plays it on a scene again.
//
// A recording is text: one line of JSON for what made it, a Header, and then a Frame of stage.v1 a line, in protobuf's JSON, in the order in
// which they were shown. The first is whole; the times in them are those of the stage that was recorded, and never go back. A file whose
// name ends in .gz is compressed. It holds what the page shows and no sound.
package recording
