// Server-sent events (HTML standard, section 9.2.6) from a response's body.

// readEvents calls take(name, data) for each event, until the stream ends or take says true. A stream that breaks off ends like any other.
export async function readEvents(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", name = "", data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length && take(name || "message", data.join("\n"))) return;
          name = "";
          data = [];
          continue;
        }
        const [, field, text] = /^([^:]*):? ?(.*)$/.exec(line);
        if (field === "event") name = text;
        else if (field === "data") data.push(text);
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
  } finally {
    reader.cancel().catch(() => {}); // it has ended, or is of no more use
  }
}
