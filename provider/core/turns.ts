// One at a time for each thing: who may work on it now. It only keeps the record; whoever wants a turn waits with waitFor.

export class Turns {
  private readonly holders = new Map<string, object>();
  private readonly listeners = new Set<() => void>();

  /** Is it `who`'s turn from now on? To take it twice is the same as once. */
  take(thing: string, who: object): boolean {
    const holder = this.holders.get(thing);
    if (holder !== undefined && holder !== who) return false;
    this.holders.set(thing, who);
    return true;
  }

  leave(thing: string, who: object): void {
    if (this.holders.get(thing) !== who) return;
    this.holders.delete(thing);
    for (const tell of this.listeners) tell();
  }

  /** Resolves when somebody leaves; rejects when `signal` aborts. */
  left(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.listeners.delete(tell);
        reject(signal.reason);
      };
      const tell = () => {
        this.listeners.delete(tell);
        signal.removeEventListener("abort", stop);
        resolve();
      };
      this.listeners.add(tell);
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    });
  }
}
