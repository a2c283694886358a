import { getEventListeners } from "node:events";
import { linkedAbort } from "../../../provider/core/util/abort";

test("a linked signal aborts with the outer signal and its reason", () => {
  const outer = new AbortController();
  const linked = linkedAbort(outer.signal);
  expect(linked.signal.aborted).toBe(false);
  outer.abort(new Error("the run was stopped"));
  expect(linked.signal.reason).toEqual(new Error("the run was stopped"));
});

test("a linked signal is aborted from the start where the outer signal is", () => {
  expect(linkedAbort(AbortSignal.abort("over")).signal.reason).toBe("over");
});

test("aborting the linked signal leaves the outer signal alone", () => {
  const outer = new AbortController();
  const linked = linkedAbort(outer.signal);
  linked.abort("too long");
  expect([linked.signal.reason, outer.signal.aborted]).toEqual(["too long", false]);
});

test("release leaves no listener on the outer signal", () => {
  const outer = new AbortController();
  const linked = linkedAbort(outer.signal);
  expect(getEventListeners(outer.signal, "abort")).toHaveLength(1);
  linked.release();
  expect(getEventListeners(outer.signal, "abort")).toHaveLength(0);
  outer.abort();
  expect(linked.signal.aborted).toBe(false);
});

test("a linked signal needs no outer signal", () => {
  const linked = linkedAbort(undefined);
  linked.release();
  linked.abort();
  expect(linked.signal.aborted).toBe(true);
});
