// The stream of frames. EventSource comes back by itself, and names the last frame that it saw; where it gives up, for an answer that is
// no stream, it is opened anew with that name.

const againAfter = 1500; // ms

export function follow(store) {
  let last = "";
  const open = () => {
    const url = new URL("api/v1/stream", document.baseURI);
    if (last) url.searchParams.set("last_event_id", last);
    const source = new EventSource(url);
    source.addEventListener("open", () => store.setLink("live"));
    source.addEventListener("frame", (e) => {
      last = e.lastEventId;
      store.setLink("live");
      store.apply(JSON.parse(e.data));
    });
    source.addEventListener("error", () => {
      store.setLink("reconnecting");
      if (source.readyState === EventSource.CLOSED) setTimeout(open, againAfter);
    });
  };
  open();
}
