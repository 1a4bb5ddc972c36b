// Where a conversation stands, and what an answer shows; as the load generator's client has it.

// Ledger keeps the point that the next question names. Answers may come out of order: what counts is the answer to the question that was sent
// last.
export class Ledger {
  #sent = 0;
  #adopted = 0;
  #point = { turn: 0, checksum: "" };
  // epoch is the highest that any answer named.
  epoch = 0;

  next() {
    return { seq: ++this.#sent, at: this.#point };
  }

  adopt(seq, served) {
    if (seq > this.#adopted) {
      this.#adopted = seq;
      this.#point = { turn: Number(served.turn ?? 0), checksum: served.checksum ?? "" };
    }
    this.epoch = Math.max(this.epoch, Number(served.epoch ?? 0));
  }
}

// judge compares an answer with where the conversation stood when it was asked for. onCall: the caller was on one and the same call when it asked
// and when the answer came.
export function judge(asked, onCall, served) {
  return { misroute: onCall && !served.callHeld, stateLost: stateLost(asked, served) };
}

function stateLost(asked, served) {
  const turn = Number(served.turn ?? 0);
  if (asked.turn === 0) return false;
  if (turn <= asked.turn) return true;
  if (turn === asked.turn + 1) return (served.previousChecksum ?? "") !== asked.checksum;
  return served.state === "CACHE_STATE_COLD"; // others asked in between: the pod's own word decides
}
