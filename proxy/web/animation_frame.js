// Drawing once per frame, however often it is asked for.

export class AnimationFrame {
  #due = 0;

  constructor(draw) {
    this.draw = draw;
  }

  /** Draw with the next frame. */
  request() {
    this.#due ||= requestAnimationFrame(() => {
      this.#due = 0;
      this.draw();
    });
  }

  cancel() {
    cancelAnimationFrame(this.#due);
  }
}
