// The panel alone, with the one lane that the stage says there is.
import { mountCall } from "/assets/js/call/panel.js";

const { lanes } = await (await fetch("/api/v1/state")).json();
mountCall(document.getElementById("call"), { store: { lanes: () => lanes, on: () => () => {} } });
