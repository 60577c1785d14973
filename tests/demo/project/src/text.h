/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A small library of text tools, for something to build. */
#include <stddef.h>
#include <stdint.h>

uint32_t text_crc32(const void *p, size_t n);
uint64_t text_hash(const char *s);
size_t text_words(const char *s);
double text_entropy(const void *p, size_t n);
int text_levenshtein(const char *a, const char *b);
void text_rot13(char *s);
size_t text_hex(const void *p, size_t n, char *out, size_t cap);
void text_sort(char **v, size_t n);
/* Counts the words of each of n texts in a thread of its own. */
int text_words_parallel(char *const *texts, size_t n, size_t *counts);
