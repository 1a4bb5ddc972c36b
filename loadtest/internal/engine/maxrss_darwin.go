package engine

// maxRSSUnit is the bytes in one of ru_maxrss (getrusage(2) of macOS: bytes).
const maxRSSUnit = 1
