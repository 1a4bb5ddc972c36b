// ICE servers in Link headers: RFC 9725 section 4.6, by the grammar of RFC 8288 section 3.

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const param = new RegExp(String.raw`\s*;\s*(${token})(?:\s*=\s*(?:(${token})|"((?:[^"\\]|\\.)*)"))?`, "y");

// BadLink is a header that is not as it should be.
export class BadLink extends Error {}

// iceServers are those that the links with rel="ice-server" name, as RTCPeerConnection takes them. Others are left out. It throws BadLink.
export function iceServers(text) {
  return parse(text).filter((l) => (l.params.rel ?? "").toLowerCase().split(/\s+/).includes("ice-server")).map(server);
}

function server({ target, params }) {
  if (/^stuns?:/i.test(target)) return { urls: target };
  if (!/^turns?:/i.test(target)) throw new BadLink(`${target}: expected a stun or turn URI`);
  if (!params.username || !params.credential) throw new BadLink(`${target}: expected a username and a credential`);
  if ((params["credential-type"] ?? "password") !== "password") {
    throw new BadLink(`${target}: credential-type ${params["credential-type"]}, expected password`);
  }
  return { urls: target, username: params.username, credential: params.credential };
}

function parse(text) {
  const links = [];
  const target = /[\s,]*<([^<>"\s]+)>/y;
  let at = 0;
  while (!/^[\s,]*$/.test(text.slice(at))) {
    target.lastIndex = at;
    const found = target.exec(text);
    if (!found) throw new BadLink(`expected <URI> at ${at} of ${text}`);
    const link = { target: found[1], params: {} };
    at = target.lastIndex;
    for (;;) {
      param.lastIndex = at;
      const p = param.exec(text);
      if (!p) break;
      const name = p[1].toLowerCase();
      link.params[name] ??= p[2] ?? p[3]?.replace(/\\(.)/g, "$1") ?? ""; // of several the first counts
      at = param.lastIndex;
    }
    if (!/^\s*(,|$)/.test(text.slice(at))) throw new BadLink(`expected ; or , at ${at} of ${text}`);
    links.push(link);
  }
  return links;
}
