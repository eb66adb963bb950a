/** remembered: what is made once and then known by a key. */

/** What a map knows by this key; `make` makes it where there is nothing yet. What was undefined is made again. */
export function remembered<K, V>(
  known: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  let found = known.get(key);
  if (found === undefined) {
    found = make();
    known.set(key, found);
  }
  return found;
}
