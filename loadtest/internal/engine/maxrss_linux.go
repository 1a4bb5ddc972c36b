package engine

// maxRSSUnit is the bytes in one of ru_maxrss (getrusage(2): kilobytes).
const maxRSSUnit = 1024
