import { Trans } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { incidentQuery } from '../api/queries';
import { useTitle } from '../app/titles';
import classes from './MergedInto.module.css';

/** Says of a merged incident where all of it is now, and leads there. */
export function MergedInto({ id }: { id: string }) {
  const { data } = useQuery(incidentQuery(id));
  const titleOf = useTitle();
  return (
    <p className={classes.merged} role="status" data-testid="merged-into">
      <Trans>
        This incident was merged into{' '}
        <Link to="/incidents/$id" params={{ id }}>
          {data ? `#${data.number} ${titleOf(data)}` : <Trans>another one</Trans>}
        </Link>
        , which has its alerts, events and clocks. Go on there.
      </Trans>
    </p>
  );
}
