// An SDP fragment (RFC 8840 section 9) for candidates that came after the offer.

// fragment has the offer's ICE credentials, and candidates, RTCIceCandidates, each below its section.
export function fragment(offer, candidates) {
  const [session, ...sections] = offer.split(/(?=^m=)/m);
  const value = (text, name) => new RegExp(`^a=${name}:(\\S+)`, "m").exec(text)?.[1];
  const lines = ["ice-ufrag", "ice-pwd"].map((name) => `a=${name}:${value(session, name) ?? value(sections[0], name)}`);
  for (const section of sections) {
    const mid = value(section, "mid");
    const own = candidates.filter((c) => c.sdpMid === mid && c.candidate !== "");
    if (own.length) lines.push(/^m=.*/.exec(section)[0].trim(), `a=mid:${mid}`, ...own.map((c) => `a=${c.candidate}`));
  }
  return lines.join("\r\n") + "\r\n";
}
