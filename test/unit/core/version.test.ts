import { compareVersions } from "../../../provider/core/util/version";

test.each([
  ["3.66", "3.7", 1],
  ["3.0", "3.0", 0],
  ["3", "3.0", 0],
  ["4.5.0", "4.5", 0],
  ["4.6.11.2", "4.6.11", 1],
  ["3.9.9", "4.0", -1],
  ["1.8", "1.9", -1],
  ["", "0.1", -1],
  ["4.5.0-beta", "4.5.0", 0],
])("version %p against %p", (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
  expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
});
