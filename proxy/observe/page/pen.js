// Strokes on a canvas.

export function middle(left, right) {
  return (left + right) / 2;
}

export function line(pen, colour, width, x1, y1, x2, y2) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

export function dot(pen, colour, x, y, radius, filling = null) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, Math.PI * 2);
  pen.fillStyle = filling ?? colour;
  pen.fill();
  if (!filling) return;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.stroke();
}

export function write(pen, colour, text, x, y) {
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}
