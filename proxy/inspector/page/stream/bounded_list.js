// A list that grows at its end and is bounded: the oldest items are dropped.
//
// An index counts from the first item ever added, so it stays valid.

export class BoundedList {
  #items = [];
  #weights = [];

  /** At most `most` items, together no heavier than `heaviest`. */
  constructor({ most, heaviest = Infinity, weigh = () => 0 }) {
    this.most = most;
    this.heaviest = heaviest;
    this.weigh = weigh;
    this.first = 0; // index of the oldest remaining item
    this.weight = 0;
  }

  /** Index after the newest item: the number of items ever added. */
  get end() {
    return this.first + this.#items.length;
  }

  get size() {
    return this.#items.length;
  }

  /** The item with this index; undefined if it was dropped, or for null. */
  get(index) {
    if (index === null || index === undefined) return undefined;
    return this.#items[index - this.first];
  }

  push(item) {
    const weight = this.weigh(item);
    this.#items.push(item);
    this.#weights.push(weight);
    this.weight += weight;
    if (this.size > this.most || this.weight > this.heaviest) this.#drop();
  }

  // A tenth at a time, since each drop moves all remaining items.
  #drop() {
    let count = this.size > this.most ? Math.ceil(this.most / 10) : 0;
    let left = this.weight;
    for (let index = 0; index < count; index += 1) left -= this.#weights[index];
    while (left > this.heaviest * 0.9 && count < this.size - 1) {
      left -= this.#weights[count];
      count += 1;
    }
    this.#items.splice(0, count);
    this.#weights.splice(0, count);
    this.weight = left;
    this.first += count;
  }

  *[Symbol.iterator]() {
    yield* this.#items;
  }
}
