/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "text.h"

struct job {
	const char *text;
	size_t *count;
};

static void *run(void *arg)
{
	struct job *j = arg;
	*j->count = text_words(j->text);
	return NULL;
}

int text_words_parallel(char *const *texts, size_t n, size_t *counts)
{
	pthread_t *threads = calloc(n, sizeof(*threads));
	struct job *jobs = calloc(n, sizeof(*jobs));
	int rc = threads && jobs ? 0 : -1;
	size_t started = 0;
	for (; rc == 0 && started < n; started++) {
		jobs[started] = (struct job){texts[started], &counts[started]};
		rc = pthread_create(&threads[started], NULL, run, &jobs[started]);
		if (rc)
			break;
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	free(jobs);
	return rc;
}
