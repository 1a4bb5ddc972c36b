// Where columns and dots are. Numbers only: nothing here draws.

export const labelHeight = 38; // px below each row of columns, for names
const narrow = 36; // px that a column has at least
const low = 105; // px that a row has at least, where there are several
const gap = 4; // px between columns
const gapAbove = 6; // px between rows

const rowsOf = (n, width) => Math.ceil(n / Math.max(1, Math.floor(width / narrow)));

// least is the height that n columns need.
export const least = (n, width) => rowsOf(n, width) * low;

// columns divides width by height among n columns, in as many rows as keep them legible. It returns their boxes, without labels.
export function columns(n, width, height) {
  if (n < 1) return [];
  const rows = rowsOf(n, width);
  const per = Math.ceil(n / rows);
  const w = width / per;
  const h = height / rows;
  return Array.from({ length: n }, (_, i) => ({
    x: (i % per) * w + gap / 2,
    y: Math.floor(i / per) * h + (i < per ? 0 : gapAbove),
    w: w - gap,
    h: h - labelHeight - (i < per ? 0 : gapAbove),
  }));
}

const widest = 40; // px a dot's cell has at most
const finest = 3;

// pitch is the side of the cells in which a box holds so many dots.
export function pitch(box, n, most = widest) {
  for (let p = most; p > finest; p -= 0.5) {
    if (fits(box, p) >= n) return p;
  }
  return finest;
}

const across = (box, p) => Math.max(1, Math.floor((box.w - 4) / p));
const fits = (box, p) => across(box, p) * Math.max(1, Math.floor((box.h - 4) / p));

// common is the pitch for all boxes: the one that the fullest needs, with room for a few more, so that it changes seldom.
export function common(boxes, loads) {
  let p = widest;
  boxes.forEach((box, i) => (p = Math.min(p, pitch(box, steps(loads[i]), p))));
  return p;
}

// steps rounds up to 8, 12, 16, 24, 32, 48 and so on.
function steps(n) {
  let s = 8;
  while (s < n) s = s & (s - 1) ? (s / 3) * 4 : s * 1.5;
  return s;
}

// place is the centre of the i-th dot of a box: from the bottom up, row by row.
export function place(box, p, i) {
  const per = across(box, p);
  return { x: box.x + (box.w - per * p) / 2 + ((i % per) + 0.5) * p, y: box.y + box.h - 4 - (Math.floor(i / per) + 0.5) * p };
}
