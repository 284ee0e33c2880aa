import { ApiError } from '../api/client';
import { reasonOf } from '../app/problems';

/** The server's reason for each field that it did not take, and whether there is anything beyond those. */
export function reasonsOf(error: unknown, fields: string[]) {
  const reasons = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return {
    of: (field: string) => {
      const found = reasons.find((each) => each.field === field);
      return found && reasonOf(found);
    },
    elsewhere: error !== null && error !== undefined && !reasons.some(({ field }) => fields.includes(field)),
  };
}
