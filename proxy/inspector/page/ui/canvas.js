// Lines, dots and text on a canvas (a CanvasRenderingContext2D).

export function middle(left, right) {
  return (left + right) / 2;
}

export function line(context, colour, width, x1, y1, x2, y2) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

export function dot(context, colour, x, y, radius, filling = null) {
  context.beginPath();
  context.arc(x, y, radius, 0, Math.PI * 2);
  context.fillStyle = filling ?? colour;
  context.fill();
  if (!filling) return;
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.stroke();
}

export function write(context, colour, text, x, y) {
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
